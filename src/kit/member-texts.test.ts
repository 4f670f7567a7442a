import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { laxCanonicalJson } from "./canonical-json.ts";
import { memberTexts } from "./member-texts.ts";
import { parseWireJson } from "./wire-json.ts";

describe("memberTexts", () => {
  test("gives each member's text, letter for letter", () => {
    const text = String.raw`{"":1.0,"a":{"b":["}",{}],"c":"\\\""},"d":"\\","e":[],"f":-7,"g":null}`;
    expect(Object.fromEntries(memberTexts(text))).toEqual({
      "": "1.0",
      a: String.raw`{"b":["}",{}],"c":"\\\""}`,
      d: String.raw`"\\"`,
      e: "[]",
      f: "-7",
      g: "null",
    });
    expect(memberTexts("{}").size).toBe(0);
  });

  test("takes every object in Canonical JSON apart as a parser does", () => {
    const value = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (object) => {
        const canonical = laxCanonicalJson(parseWireJson(JSON.stringify(object)));
        const members = [...memberTexts(canonical)];
        expect(`{${members.map(([key, text]) => `"${key}":${text}`).join(",")}}`).toBe(canonical);
        expect(members.map(([key]) => JSON.parse(`"${key}"`))).toEqual(
          Object.keys(JSON.parse(canonical) as object).toSorted((a, b) =>
            Buffer.compare(Buffer.from(a), Buffer.from(b)),
          ),
        );
      }),
      { numRuns: 500 },
    );
  });

  test.each(["", "{", "[1]", '{"a"', '{"a":', '{"a":"', '{"a":{}', '{"a":1}x', "{}x", "null"])(
    "refuses %j",
    (text) => {
      expect(() => memberTexts(text)).toThrow(SyntaxError);
    },
  );
});
