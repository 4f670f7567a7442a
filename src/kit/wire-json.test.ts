import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { laxCanonicalJson, NotCanonicalError } from "./canonical-json.ts";
import { isRawLiteral } from "./raw-literal.ts";
import { hasSuspectNumbers, parseClientJson, parseWireJson } from "./wire-json.ts";

/** A value with its raw literals as the numbers that they are, and one zero of the two. */
function withPlainNumbers(value: unknown): unknown {
  if (typeof value === "number") return value + 0;
  if (isRawLiteral(value)) return Number(value.rawJSON) + 0;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(withPlainNumbers);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withPlainNumbers(item)]),
  );
}

describe("parseWireJson", () => {
  test.each([
    ["1.0", "1.0"],
    ["1.50", "1.5"],
    ["1e10", "10000000000.0"],
    ["1E+2", "100.0"],
    ["5.114698E4", "51146.98"],
    ["1e-7", "1e-07"],
    ["-0", "0"],
    ["-0.0", "-0.0"],
    ["9007199254740991", "9007199254740991"],
    ["9007199254740993", "9007199254740993"],
    ["-12345678901234567890", "-12345678901234567890"],
  ])("keeps of %s what hashes depend on", (literal, canonical) => {
    expect(laxCanonicalJson(parseWireJson(`{"a":[${literal}]}`))).toBe(`{"a":[${canonical}]}`);
  });

  test.each([
    ["1.0", "1.0"],
    [" 1.0", "1.0"],
    ["[1.0]", "[1.0]"],
    ['["-",-0.0]', '["-",-0.0]'],
    ['{"a" :\n1e2}', '{"a":100.0}'],
    ['{"a":{"b":[[],1.0]}}', '{"a":{"b":[[],1.0]}}'],
    ["[2, 12345678901234567]", "[2,12345678901234567]"],
  ])("sees the number in %j", (text, kept) => {
    expect(JSON.stringify(parseWireJson(text))).toBe(kept);
  });

  test("leaves numbers that JavaScript can hold as numbers", () => {
    expect(parseWireJson('{"a":[1.5,-3,9007199254740991]}')).toEqual({ a: [1.5, -3, 2 ** 53 - 1] });
  });

  test("makes raw literals of the others", () => {
    expect(isRawLiteral(parseWireJson("1.0"))).toBe(true);
    expect(isRawLiteral(parseWireJson("1e400"))).toBe(false);
  });

  test("leaves a number beyond doubles infinite, which no encoding takes", () => {
    expect(() => laxCanonicalJson(parseWireJson("[1e400]"))).toThrow(NotCanonicalError);
  });

  test("reads what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const read = parseWireJson(JSON.stringify(value));
        expect(withPlainNumbers(read)).toEqual(withPlainNumbers(value));
      }),
      { numRuns: 300 },
    );
  });

  test("keeps a key called __proto__ a key", () => {
    expect(Object.keys(parseWireJson('{"__proto__":1.0}') as object)).toEqual(["__proto__"]);
  });

  test.each(["", "{", "[1.0", "01.5"])("refuses %j", (text) => {
    expect(() => parseWireJson(text)).toThrow(SyntaxError);
  });
});

describe("hasSuspectNumbers", () => {
  test.each(["4e24c79c", "0e1", "7E", "123456789012345678", "a_4.5"])(
    "does not take the key ID ed25519:%s, which is in every event of its server, for a number",
    (id) => {
      const event = { depth: 7, origin_server_ts: 1795650640399, signatures: { "hs:8448": {} } };
      Object.assign(event.signatures["hs:8448"], { [`ed25519:${id}`]: "c2ln" });
      expect(hasSuspectNumbers(JSON.stringify(event))).toBe(false);
    },
  );

  test("sees every number that JSON.parse would not keep", () => {
    const literal = fc.stringMatching(
      /^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,4})?([eE][-+]?[0-9]{1,2})?$/,
    );
    const place = fc.constantFrom("#", "[#]", '{"a":#}', '{"a" : # , "b":1}', "[1,\n#\n]");
    fc.assert(
      fc.property(literal, place, (number, around) => {
        const kept = /^-?[0-9]{1,15}$/.test(number) && !number.startsWith("-0");
        expect(kept || hasSuspectNumbers(around.replace("#", number))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("keys with escapes", () => {
  test.each([
    ['{"":1,"\\\\":1}', '{"":1,"\\"":2}', '"'],
    ['{"":1,"\\\\":1}', '{"":1,"\\n":2}', "\n"],
    ['{"z":1,"q\\\\":1}', '{"z":1,"q\\u007f":2}', "q\u007F"],
  ])("after %s, %s is not taken for it", (before, text, key) => {
    parseWireJson(before);
    expect(Object.keys(parseWireJson(text) as object)).toContain(key);
  });

  test("change nothing else", () => {
    const text =
      '{"a\\"b" : {"__proto__":{"x":[1.0,{}," \\": "]},"\\u0061":1,"a":2}, "10":[],"9":{"\\/":null}}';
    const parsed = parseWireJson(text);
    expect(laxCanonicalJson(parsed)).toBe(
      '{"10":[],"9":{"/":null},"a\\"b":{"__proto__":{"x":[1.0,{}," \\": "]},"a":2}}',
    );
  });

  test.each(['{"a\\n","b"}', '{"a\\n":1:2}', '["\\n":1]', '{"\\n":1,}', '{1:"\\n","\\n":2}'])(
    "%s is still no JSON",
    (text) => {
      expect(() => parseWireJson(text)).toThrow(SyntaxError);
    },
  );

  test.each(["1.0", '{"\\n":1}'])("deep nesting around %s is no JSON, and no crash", (inside) => {
    const depth = 200_000;
    expect(() => parseWireJson("[".repeat(depth) + inside + "]".repeat(depth))).toThrow(
      SyntaxError,
    );
  });
});

describe("parseClientJson", () => {
  test("reads the keys that are there, escaped or not, and plain numbers", () => {
    parseClientJson('{"":1,"\\\\":1}');
    expect(parseClientJson('{"":1,"\\n":2.50}')).toEqual({ "": 1, "\n": 2.5 });
    expect(parseClientJson('{"a":[1.0,{"__proto__":2}]}')).toEqual(
      JSON.parse('{"a":[1,{"__proto__":2}]}'),
    );
    expect(() => parseClientJson('{"\\n":1')).toThrow(SyntaxError);
  });
});
