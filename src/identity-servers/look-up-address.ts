import { createHash } from "node:crypto";
import { z } from "zod";
import { isUserId } from "#src/events/event-identifiers.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { urlSafeBase64 } from "#src/kit/base64.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { askIdentityServer, refusalOf, unhelpful } from "./identity-server.ts";
import type { ThirdPartyAddress } from "./third-party-address.ts";

const HashDetails = z.object({
  lookup_pepper: z.string().max(4096),
  algorithms: z.array(z.string()).max(100),
});

/** Some identity servers list those who have no user as null. */
const Lookup = z.object({ mappings: z.record(z.string(), z.string().nullable()) });

/** A pepper may be exchanged for a new one between the two questions. */
const MOST_TRIES = 2;

/**
 * The user who has bound an address, as an identity server says.
 *
 * @returns undefined if nobody has.
 * @throws MatrixError what the identity server says of who asks, or 502 if it does not answer as it should.
 * @spec identity-service-api#association-lookup
 */
export async function lookUpAddress(
  hs: Homeserver,
  it: ThirdPartyAddress,
): Promise<UserId | undefined> {
  const base = `https://${it.server.name}/_matrix/identity/v2`;
  const { accessToken } = it.server;
  for (let tries = 1; ; tries++) {
    const details = await askIdentityServer(hs, {
      purpose: "getHashDetails",
      url: `${base}/hash_details`,
      accessToken,
      expected: HashDetails,
    });
    if (!details.ok) throw refusalOf(details);
    const { algorithm, encoded } = encodedFor(it, details.body);
    const answer = await askIdentityServer(hs, {
      purpose: "lookupUsersV2",
      url: `${base}/lookup`,
      accessToken,
      content: { algorithm, pepper: details.body.lookup_pepper, addresses: [encoded] },
      expected: Lookup,
    });
    if (answer.ok) return userIn(new Map(Object.entries(answer.body.mappings)).get(encoded));
    if (answer.errcode !== "M_INVALID_PEPPER" || tries === MOST_TRIES) throw refusalOf(answer);
  }
}

/** The address as the identity server wants it: hashed, if it knows how. */
function encodedFor(
  { medium, address }: ThirdPartyAddress,
  { algorithms, lookup_pepper: pepper }: z.infer<typeof HashDetails>,
): { algorithm: string; encoded: string } {
  if (algorithms.includes("sha256")) {
    const hash = createHash("sha256").update(`${address} ${medium} ${pepper}`).digest();
    return { algorithm: "sha256", encoded: urlSafeBase64(hash) };
  }
  if (algorithms.includes("none")) return { algorithm: "none", encoded: `${address} ${medium}` };
  throw unhelpful("knows no algorithm that we know");
}

/** @throws MatrixError (502) of what is no user ID. */
function userIn(found: string | null | undefined): UserId | undefined {
  if (found === null || found === undefined) return undefined;
  if (!isUserId(found)) throw unhelpful("knows the address by what is no user ID");
  return found;
}
