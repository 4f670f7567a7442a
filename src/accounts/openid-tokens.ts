import { newToken, tokenHash } from "#src/auth/secret-tokens.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";

/** As long as a service may take to ask us. */
const LIFETIME_SECONDS = 3_600;

/** A token as the user's client passes it on. Names are the wire's. */
type OpenIdToken = {
  readonly access_token: string;
  readonly token_type: "Bearer";
  readonly matrix_server_name: string;
  readonly expires_in: number;
};

/**
 * Makes a token by which a third party can learn who the user is, and nothing else.
 *
 * @spec client-server-api#post_matrixclientv3useruseridopenidrequest_token
 */
export async function makeOpenIdToken(
  hs: Homeserver,
  { userKey }: Requester,
): Promise<OpenIdToken> {
  const token = newToken("openid");
  await hs.sql`
    insert into openid_tokens (hash, user_key, expires_at_ms)
    values (${tokenHash(token)}, ${userKey}, ${hs.now() + LIFETIME_SECONDS * 1000})`;
  return {
    access_token: token,
    token_type: "Bearer",
    matrix_server_name: hs.name,
    expires_in: LIFETIME_SECONDS,
  };
}

/** Whose token it is; undefined if it is nobody's, or no longer, or while the account is locked. */
export async function userOfOpenIdToken(
  hs: Homeserver,
  token: string,
): Promise<UserId | undefined> {
  const [row] = await hs.sql<{ user_id: UserId }[]>`
    select user_id from openid_tokens
    join users using (user_key) join accounts using (user_key)
    where hash = ${tokenHash(token)} and expires_at_ms > ${hs.now()} and deactivated_at_ms is null
      and not is_locked`;
  return row?.user_id;
}
