import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeBase64, unpaddedBase64, urlSafeBase64 } from "./base64.ts";

describe("base64", () => {
  test("decodes what it encodes, padded or not, in both alphabets", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
        const padded = Buffer.from(bytes).toString("base64");
        for (const text of [unpaddedBase64(bytes), urlSafeBase64(bytes), padded]) {
          expect(decodeBase64(text)).toEqual(Buffer.from(bytes));
        }
        expect(unpaddedBase64(bytes)).toBe(padded.replaceAll("=", ""));
      }),
    );
  });

  test.each(["a", "ab cd", "a=bc", "ab===", "+-ab", "ä"])("refuses %j", (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  });
});
