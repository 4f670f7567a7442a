import { z } from "zod";
import type { InviteKey } from "#src/events/auth-rules/third-party-signature.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { askIdentityServer, refusalOf, unhelpful } from "./identity-server.ts";

const Validity = z.object({ valid: z.boolean() });

/**
 * Whether the key by which somebody has shown that an address is theirs has not been revoked. Where the invitation does
 * not say who knows, it never is.
 *
 * @throws MatrixError (502) if nobody can say.
 * @spec identity-service-api#get_matrixidentityv2pubkeyisvalid
 */
export async function isKeyValid(
  hs: Homeserver,
  { publicKey, validityUrl }: InviteKey,
): Promise<boolean> {
  if (validityUrl === undefined) return true;
  if (!URL.canParse(validityUrl)) throw unhelpful("has no URL that can be asked");
  const url = new URL(validityUrl);
  url.searchParams.set("public_key", publicKey);
  const answer = await askIdentityServer(hs, {
    purpose: "isPubKeyValidV2",
    url: url.href,
    expected: Validity,
  });
  if (!answer.ok) throw refusalOf(answer);
  return answer.body.valid;
}
