import type { KeyObject } from "node:crypto";
import { decodeBase64 } from "#src/kit/base64.ts";
import { type CanonicalObject, NotCanonicalError } from "#src/kit/canonical-json.ts";
import { ed25519PublicKey, verifyEd25519Sync } from "#src/kit/ed25519.ts";
import { signedTextOfJson } from "#src/kit/signed-json.ts";

/** How many signatures are tried against how many keys at most: each trial takes 100 µs. */
const MAX_TRIALS = 64;

/** A key of a third party invite. */
export type InviteKey = {
  /** As the invite has it. */
  readonly publicKey: string;
  /** Where to ask whether it has been revoked; undefined if it never is. */
  readonly validityUrl: string | undefined;
};

/**
 * Whether any signature of an invitation's `signed` is by any public key of the third party invite.
 * By whom it says to be matters as little as the key's name: the invite says whose keys count.
 *
 * @param signed `third_party_invite.signed` of the membership.
 * @param invite content of the `m.room.third_party_invite`.
 * @spec rooms/v12#authorisation-rules 5.4.1.7
 */
export function isSignedForInvite(signed: CanonicalObject, invite: CanonicalObject): boolean {
  return !signingKeys(signed, invite).next().done;
}

/** Those of a third party invite's keys by which an invitation's `signed` is signed. */
export function* signingKeys(
  signed: CanonicalObject,
  invite: CanonicalObject,
): Generator<InviteKey, void> {
  const text = signedText(signed);
  if (!text) return;
  const keys = publicKeys(invite);
  let trials = 0;
  for (const signature of signaturesOf(signed)) {
    for (const { key, ...its } of keys) {
      if (++trials > MAX_TRIALS) return;
      if (verifyEd25519Sync(text, signature, key)) yield its;
    }
  }
}

/** Undefined for what has no Canonical JSON: nobody can have signed it. */
function signedText(signed: CanonicalObject): Uint8Array | undefined {
  try {
    return signedTextOfJson(signed);
  } catch (error) {
    if (error instanceof NotCanonicalError) return undefined;
    throw error;
  }
}

/**
 * The keys of a third party invite:
 * 1. A single public key in the `public_key` property.
 * 2. A list of public keys in the `public_keys` property.
 */
function publicKeys(invite: CanonicalObject): (InviteKey & { readonly key: KeyObject })[] {
  const listed: readonly unknown[] = Array.isArray(invite["public_keys"])
    ? invite["public_keys"].slice(0, MAX_TRIALS)
    : [];
  return [invite, ...listed].flatMap((it) => {
    if (!isObject(it)) return [];
    const { public_key: publicKey, key_validity_url: url } = it;
    const bytes = typeof publicKey === "string" ? decodeBase64(publicKey) : undefined;
    const key = bytes && ed25519PublicKey(bytes);
    if (typeof publicKey !== "string" || !key) return [];
    return { key, publicKey, validityUrl: typeof url === "string" ? url : undefined };
  });
}

function signaturesOf({ signatures }: CanonicalObject): Buffer[] {
  if (!isObject(signatures)) return [];
  return Object.values(signatures)
    .flatMap((own) => (isObject(own) ? Object.entries(own) : []))
    .flatMap(([keyId, text]) => {
      const ed25519 = keyId.startsWith("ed25519:") && typeof text === "string";
      return (ed25519 && decodeBase64(text)) || [];
    });
}

function isObject(value: unknown): value is CanonicalObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
