import {
  endOneTimeTokens,
  findOneTimeToken,
  keepNewestTokens,
  makeOneTimeToken,
  takeOneTimeToken,
} from "#src/auth/one-time-tokens.ts";
import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { createAccount } from "./create-account.ts";
import { requireFreeUserId, userIdOfUsername } from "./username.ts";

/** Of so many starts without an administrator the links stay valid: several processes start together. */
const VALID_LINKS = 10;

/** Held by whoever is about to make the first administrator. */
const SETUP_LOCK = 7_264_827;

/**
 * A link that lets whoever has it make the first administrator, once. Only its hash is stored, so it
 * is to be shown now.
 *
 * @returns undefined if there is an administrator.
 */
export async function firstAdministratorLink(hs: Homeserver): Promise<string | undefined> {
  if (await hasAdministrator(hs.sql)) return undefined;
  const token = await makeOneTimeToken(hs, "setup");
  await keepNewestTokens(hs, "setup", VALID_LINKS);
  return `${hs.config.publicBaseUrl}/_archipel/setup?token=${token}`;
}

/** Whether a link would still make an administrator. */
export async function isSetupToken(hs: Homeserver, token: string): Promise<boolean> {
  return (await findOneTimeToken(hs, { purpose: "setup", token })) !== undefined;
}

/**
 * Makes the first administrator; all such links end with that.
 *
 * @throws MatrixError M_FORBIDDEN if the token is none, or there is an administrator;
 *   M_INVALID_USERNAME, M_USER_IN_USE; M_WEAK_PASSWORD, M_INVALID_PARAM for the password.
 */
export async function createFirstAdministrator(
  hs: Homeserver,
  {
    token,
    username,
    password,
  }: { readonly token: string; readonly username: string; readonly password: string },
): Promise<UserId> {
  if (!(await isSetupToken(hs, token))) throw linkIsOver();
  const userId = userIdOfUsername(hs, username);
  await requireFreeUserId(hs, userId);
  await createAccount(
    hs,
    { userId, password, displayname: username, isAdmin: true },
    async (tx) => {
      await tx`select pg_advisory_xact_lock(${SETUP_LOCK})`;
      const taken = await takeOneTimeToken(hs, tx, { purpose: "setup", token });
      if (!taken || (await hasAdministrator(tx, userId))) throw linkIsOver();
      await endOneTimeTokens(tx, "setup");
    },
  );
  return userId;
}

async function hasAdministrator(sql: Queryable, except = ""): Promise<boolean> {
  const rows = await sql`
    select 1 from accounts join users using (user_key)
    where is_admin and deactivated_at_ms is null and user_id <> ${except} limit 1`;
  return rows.length > 0;
}

function linkIsOver(): MatrixError {
  return new MatrixError("M_FORBIDDEN", "This link has been used, or is no longer valid");
}
