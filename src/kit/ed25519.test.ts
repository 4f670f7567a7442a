import * as noble from "@noble/ed25519";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ed25519PrivateKey,
  ed25519PublicBytes,
  ed25519PublicKey,
  signEd25519,
  verifyEd25519,
  verifyEd25519Sync,
} from "./ed25519.ts";
import { present } from "./testing.ts";

const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
const messages = fc.uint8Array({ maxLength: 200 });

describe("signing", () => {
  test("gives the keys and signatures that another implementation gives", async () => {
    await fc.assert(
      fc.asyncProperty(seeds, messages, async (seed, message) => {
        const key = ed25519PrivateKey(seed);
        expect(Buffer.from(ed25519PublicBytes(key))).toEqual(
          Buffer.from(await noble.getPublicKeyAsync(seed)),
        );
        expect(Buffer.from(signEd25519(message, key))).toEqual(
          Buffer.from(await noble.signAsync(message, seed)),
        );
      }),
      { numRuns: 25 },
    );
  });

  test("wants a seed of 32 bytes", () => {
    expect(() => ed25519PrivateKey(new Uint8Array(31))).toThrow(RangeError);
  });
});

describe("verifying", () => {
  test("takes what was signed, and that alone", async () => {
    const change = fc.tuple(fc.nat(63), fc.integer({ min: 1, max: 255 }));
    await fc.assert(
      fc.asyncProperty(seeds, messages, change, async (seed, message, [at, bits]) => {
        const privateKey = ed25519PrivateKey(seed);
        const publicKey = present(ed25519PublicKey(ed25519PublicBytes(privateKey)));
        const signature = signEd25519(message, privateKey);
        expect(await verifyEd25519(message, signature, publicKey)).toBe(true);
        expect(verifyEd25519Sync(message, signature, publicKey)).toBe(true);

        const other = Uint8Array.from([...message, 0]);
        expect(await verifyEd25519(other, signature, publicKey)).toBe(false);
        const forged = Uint8Array.from(signature, (it, index) => (index === at ? it ^ bits : it));
        expect(await verifyEd25519(message, forged, publicKey)).toBe(false);
        expect(verifyEd25519Sync(message, forged.subarray(0, 63), publicKey)).toBe(false);
      }),
      { numRuns: 25 },
    );
  });

  test.each([31, 33, 0])("knows no public key of %i bytes", (length) => {
    expect(ed25519PublicKey(new Uint8Array(length).fill(5))).toBeUndefined();
  });

  test("knows no public key that is not on the curve", () => {
    // 2 is no y of a point: (y² − 1) / (dy² + 1) has no square root.
    const bytes = new Uint8Array(32);
    bytes[0] = 2;
    const key = ed25519PublicKey(bytes);
    expect(key && verifyEd25519Sync(bytes, new Uint8Array(64).fill(1), key)).toBeFalsy();
  });
});

/**
 * The twelve edge cases of Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs" (SSR 2020):
 * message, public key, signature. libsodium, which most Matrix servers verify with, takes the fourth
 * alone; ZIP215 rules take nine.
 */
const EDGE_CASES = [
  {
    why: "S = 0, A and R of small order",
    message: "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
    key: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    r: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    s: "0000000000000000000000000000000000000000000000000000000000000000",
  },
  {
    why: "A of small order, R of mixed order",
    message: "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    key: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    r: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
    s: "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  },
  {
    why: "A of mixed order, R of small order",
    message: "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
    key: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
    r: "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    s: "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
  },
  {
    why: "A and R of mixed order",
    valid: true,
    message: "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
    key: "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    r: "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f",
    s: "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
  },
  {
    why: "true only if multiplied by the cofactor",
    message: "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    key: "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    r: "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512",
    s: "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
  },
  {
    why: "true only if the hash is multiplied by the cofactor unreduced",
    message: "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
    key: "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
    r: "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7",
    s: "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
  },
  {
    why: "S above the group's order",
    message: "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
    key: "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
    r: "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e",
    s: "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
  },
  {
    why: "S far above the group's order",
    message: "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
    key: "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
    r: "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942",
    s: "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
  },
  {
    why: "R not reduced, hashed as it is",
    message: "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
    key: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
    r: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    s: "03be9678ac102edcd92b0210bb34d7428d12ffc5df5f37e359941266a4e35f0f",
  },
  {
    why: "R not reduced, hashed reduced",
    message: "9bedc267423725d473888631ebf45988bad3db83851ee85c85e241a07d148b41",
    key: "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
    r: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    s: "ca8c5b64cd208982aa38d4936621a4775aa233aa0505711d8fdcfdaa943d4908",
  },
  {
    why: "A of small order and not reduced, hashed as it is",
    message: "e96b7021eb39c1a163b6da4e3093dcd3f21387da4cc4572be588fafae23c155b",
    key: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    r: "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc",
    s: "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  },
  {
    why: "A of small order and not reduced, hashed reduced",
    message: "39a591f5321bbe07fd5a23dc2f39d025d74526615746727ceefd6e82ae65c06f",
    key: "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    r: "a9d55260f765261eb9b84e106f665e00b867287a761990d7135963ee0a7d59dc",
    s: "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
  },
];

describe("edge cases are judged as libsodium judges them", () => {
  test.each(EDGE_CASES)("$why", async ({ valid = false, message, key, r, s }) => {
    const publicKey = ed25519PublicKey(Buffer.from(key, "hex"));
    const text = Buffer.from(message, "hex");
    const signature = Buffer.from(r + s, "hex");
    expect(publicKey !== undefined && verifyEd25519Sync(text, signature, publicKey)).toBe(valid);
    expect(publicKey !== undefined && (await verifyEd25519(text, signature, publicKey))).toBe(
      valid,
    );
  });
});
