import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { unpaddedBase64 } from "./base64.ts";
import type { ServerName } from "./identifiers.ts";
import {
  parseVerifyKey,
  signatureBy,
  signingKeyFromSeed,
  signJson,
  verifySignedJson,
  withSignature,
} from "./signed-json.ts";
import { verifyKeyOf } from "./testing.ts";

const server = "hs1.test" as ServerName;
const key = signingKeyFromSeed("ed25519:a_1", new Uint8Array(32).fill(7));
const verifyKey = verifyKeyOf(key);

describe("signed JSON", () => {
  test("verifies as whoever signed it, whatever is unsigned, and not if it was changed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.integer()), fc.integer(), async (said, n) => {
        const signed = signJson({ ...said, unsigned: { age: 1 } }, server, key);
        expect(await verifySignedJson({ ...signed, unsigned: { age: 2 } }, server, verifyKey)).toBe(
          true,
        );
        expect(await verifySignedJson(signed, "hs2.test", verifyKey)).toBe(false);
        expect(await verifySignedJson({ ...signed, "another key": n }, server, verifyKey)).toBe(
          false,
        );
      }),
      { numRuns: 25 },
    );
  });

  test("keeps the signatures that are there", async () => {
    const other = signingKeyFromSeed("ed25519:b", new Uint8Array(32).fill(8));
    const once = signJson({ a: 1 }, server, key);
    const twice = signJson(signJson(once, server, other), "hs2.test" as ServerName, key);
    expect(await verifySignedJson(twice, server, verifyKey)).toBe(true);
    expect(Object.keys(twice.signatures[server] ?? {})).toEqual(["ed25519:a_1", "ed25519:b"]);
    expect(Object.keys(twice.signatures)).toEqual([server, "hs2.test"]);
  });

  test("can be signed by a server of any name", async () => {
    const signed = signJson({ a: 1 }, "__proto__" as ServerName, key);
    expect(Object.keys(signed.signatures)).toEqual(["__proto__"]);
    expect(await verifySignedJson(signed, "__proto__", verifyKey)).toBe(true);
    expect(withSignature(undefined, server, ["ed25519:1", "x"])).toEqual({
      [server]: { "ed25519:1": "x" },
    });
  });

  test.each([
    [undefined],
    [null],
    ["text"],
    [[]],
    [{}],
    [{ [server]: null }],
    [{ [server]: {} }],
    [{ [server]: { "ed25519:a_1": 5 } }],
    [{ [server]: { "ed25519:a_1": "" } }],
    [{ [server]: { "ed25519:a_1": "no base64" } }],
  ])("is not verified by the signatures %j", async (signatures) => {
    const object = { a: 1, signatures: signatures as never };
    expect(await verifySignedJson(object, server, verifyKey)).toBe(false);
  });

  test("is not verified if it has no Canonical JSON", async () => {
    const { signatures } = signJson({ a: 1 }, server, key);
    expect(await verifySignedJson({ a: 1.5, signatures }, server, verifyKey)).toBe(false);
  });
});

describe("signatureBy", () => {
  test("finds nothing that objects have by nature", () => {
    expect(signatureBy({}, "constructor", "name")).toBeUndefined();
    expect(signatureBy({ a: {} }, "a", "toString")).toBeUndefined();
  });
});

describe("parseVerifyKey", () => {
  test.each([
    ["curve25519:1", unpaddedBase64(key.publicKey)],
    ["ed25519:1", "AAAA"],
    ["ed25519:1", "no base64"],
    ["ed25519:1", unpaddedBase64(new Uint8Array(32))],
  ])("refuses %s %s", (keyId, base64) => {
    expect(parseVerifyKey(keyId, base64)).toBeUndefined();
  });
});
