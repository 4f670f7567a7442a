import { expect, test } from "vitest";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type SigningKey, signingKeyFromSeed, signJson } from "#src/kit/signed-json.ts";
import { isSignedForInvite, signingKeys } from "./third-party-signature.ts";

const keyOf = (n: number) => signingKeyFromSeed(`ed25519:${n}`, Buffer.alloc(32, n));
const text = ({ publicKey }: SigningKey) => unpaddedBase64(publicKey);

/** An invitation that keys have signed, in the names of as many servers. */
function signedBy(...keys: readonly SigningKey[]): CanonicalObject {
  return keys.reduce((signed, key, n) => signJson(signed, `id${n}.test` as ServerName, key), {
    mxid: "@bob:two.test",
    token: "token",
  } as CanonicalObject);
}

function inviteWith(first: SigningKey, ...others: readonly SigningKey[]): CanonicalObject {
  return { public_key: text(first), public_keys: others.map((it) => ({ public_key: text(it) })) };
}

test("any signature by any key counts, whoever it says to be by", () => {
  const [a, b, other] = [keyOf(1), keyOf(2), keyOf(3)];
  expect(isSignedForInvite(signedBy(a), inviteWith(a))).toBe(true);
  expect(isSignedForInvite(signedBy(other, b), inviteWith(a, a, b))).toBe(true);
  expect(isSignedForInvite(signedBy(other), inviteWith(a, b))).toBe(false);
});

test("a key by which it is signed is told once", () => {
  const [a, b] = [keyOf(1), keyOf(2)];
  const keys = [...signingKeys(signedBy(a, a, b), inviteWith(a, a, b))];
  expect(keys.map((it) => it.publicKey)).toEqual([text(a), text(b)]);
});

test("what names many keys and signatures does not have all of them tried", () => {
  const others = Array.from({ length: 8 }, (_, n) => keyOf(10 + n));
  const own = keyOf(1);
  expect(isSignedForInvite(signedBy(...others, own), inviteWith(own))).toBe(false);
  const [first = own, ...rest] = others;
  expect(isSignedForInvite(signedBy(own), inviteWith(first, ...rest, own))).toBe(false);
  expect(isSignedForInvite(signedBy(...others.slice(1), own), inviteWith(own))).toBe(true);
});
