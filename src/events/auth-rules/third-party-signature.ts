import type { KeyObject } from "node:crypto";
import { decodeBase64 } from "#src/kit/base64.ts";
import { type CanonicalObject, NotCanonicalError } from "#src/kit/canonical-json.ts";
import { ed25519PublicKey, verifyEd25519Sync } from "#src/kit/ed25519.ts";
import { signedTextOfJson } from "#src/kit/signed-json.ts";

/**
 * How often a signature is tried against a key at most, since each trial takes 100 µs of everybody's time. An identity
 * server gives an invite two keys, and signs with one.
 */
const MAX_TRIALS = 8;

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
  const signatures = signaturesOf(signed);
  let trials = 0;
  for (const { key, ...its } of publicKeys(invite)) {
    for (const signature of signatures) {
      if (++trials > MAX_TRIALS) return;
      if (!verifyEd25519Sync(text, signature, key)) continue;
      yield its;
      break;
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
    ? invite["public_keys"]
    : [];
  const named = [invite, ...listed].flatMap((it): InviteKey[] => {
    if (!isObject(it)) return [];
    const { public_key: publicKey, key_validity_url: url } = it;
    if (typeof publicKey !== "string") return [];
    return [{ publicKey, validityUrl: typeof url === "string" ? url : undefined }];
  });
  // The single one is mostly the first of the list, too.
  const distinct = new Map(named.map((it) => [`${it.publicKey} ${it.validityUrl}`, it]));
  return [...distinct.values()].slice(0, MAX_TRIALS).flatMap((it) => {
    const bytes = decodeBase64(it.publicKey);
    const key = bytes && ed25519PublicKey(bytes);
    return key ? [{ ...it, key }] : [];
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
