import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseVerifyKey, verifySignedJsonSync } from "#src/kit/signed-json.ts";

/** How many signatures are tried against how many keys at most: each trial takes 100 µs. */
const MAX_TRIALS = 64;

/**
 * Whether any signature of an invitation's `signed` is by any public key of the third party invite.
 * By whom it says to be matters as little as the key's name: the invite says whose keys count.
 *
 * @param signed `third_party_invite.signed` of the membership.
 * @param invite content of the `m.room.third_party_invite`.
 * @spec rooms/v12#authorisation-rules 5.4.1.7
 */
export function isSignedForInvite(signed: CanonicalObject, invite: CanonicalObject): boolean {
  let trials = 0;
  const keys = publicKeys(invite);
  for (const [server, keyId] of signers(signed)) {
    for (const publicKey of keys) {
      if (++trials > MAX_TRIALS) return false;
      const key = parseVerifyKey(keyId, publicKey);
      if (key && verifySignedJsonSync(signed, server, key)) return true;
    }
  }
  return false;
}

/**
 * The keys of a third party invite:
 * 1. A single public key in the `public_key` property.
 * 2. A list of public keys in the `public_keys` property.
 */
function publicKeys({ public_key, public_keys }: CanonicalObject): string[] {
  const listed = Array.isArray(public_keys)
    ? public_keys.map((item: unknown) => (isObject(item) ? item["public_key"] : undefined))
    : [];
  return [public_key, ...listed].filter((key) => typeof key === "string");
}

function signers({ signatures }: CanonicalObject): (readonly [server: string, keyId: string])[] {
  if (!isObject(signatures)) return [];
  return Object.entries(signatures).flatMap(([server, own]) =>
    isObject(own) ? Object.keys(own).map((keyId) => [server, keyId] as const) : [],
  );
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
