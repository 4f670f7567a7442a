import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { type IdentityServer, requireTrusted } from "./identity-server.ts";

/** The specification's `Invite3pid`: somebody who is known by an address, and who may know them by their user ID. */
export const Invite3pid = z.object({
  id_server: z.string(),
  id_access_token: z.string(),
  medium: z.string(),
  address: z.string(),
});
export type Invite3pid = z.infer<typeof Invite3pid>;

/** Somebody's address, and the identity server that is asked who they are. */
export type ThirdPartyAddress = {
  readonly server: IdentityServer;
  readonly medium: "email" | "msisdn";
  /** As identity servers compare it. */
  readonly address: string;
};

/** Addresses and tokens are short; longer ones are nobody's. */
const MOST_ADDRESS_CHARACTERS = 500;
const TOKEN = /^[\x21-\x7e]{1,4096}$/;

const EMAIL = /^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u;
const PHONE = /^[1-9]\d{3,14}$/;

/**
 * Reads whom a client wants to invite.
 *
 * @throws MatrixError M_INVALID_PARAM of what is no address, no token or no server's name;
 *   M_THREEPID_MEDIUM_NOT_SUPPORTED; M_SERVER_NOT_TRUSTED of an identity server that we ask nothing.
 * @spec appendices#3pid-types
 */
export function parseInvite3pid(hs: Homeserver, given: Invite3pid): ThirdPartyAddress {
  const name = parseServerName(given.id_server.toLowerCase());
  if (!URL.canParse(`https://${name}/`)) {
    throw new MatrixError("M_INVALID_PARAM", "Not a valid server name");
  }
  requireTrusted(hs, name);
  if (!TOKEN.test(given.id_access_token)) {
    throw new MatrixError("M_INVALID_PARAM", "Not an access token");
  }
  const { medium } = given;
  if (medium !== "email" && medium !== "msisdn") {
    throw new MatrixError(
      "M_THREEPID_MEDIUM_NOT_SUPPORTED",
      "Users are invited by e-mail address (email) or phone number (msisdn)",
    );
  }
  const address = medium === "email" ? caseFolded(given.address) : given.address;
  const isAddress = (medium === "email" ? EMAIL : PHONE).test(address);
  if (!isAddress || address.length > MOST_ADDRESS_CHARACTERS) {
    throw new MatrixError("M_INVALID_PARAM", "Not an address of this kind");
  }
  return { server: { name, accessToken: given.id_access_token }, medium, address };
}

/** Text without the difference between large and small letters: `Strauß` and `STRAUSS` are one. */
function caseFolded(text: string): string {
  // By way of capitals, since ß has two; and a small sigma has another form at the end of a word.
  return text.toUpperCase().toLowerCase().replaceAll("ς", "σ");
}
