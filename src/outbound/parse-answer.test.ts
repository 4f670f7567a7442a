import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseWireJson } from "#src/kit/wire-json.ts";
import { parseAnswer } from "./parse-answer.ts";

/** Makes a text so large that it is parsed in parts. */
const PADDING = `"padding":"${"x".repeat(600 * 1024)}"`;

function padded(object: string): Buffer {
  const inner = object.slice(1, -1).trim();
  return Buffer.from(inner === "" ? `{${PADDING}}` : `{${PADDING},${inner}}`);
}

async function parsedInParts(object: string): Promise<unknown> {
  const { padding: _, ...rest } = (await parseAnswer(padded(object))) as Record<string, unknown>;
  return rest;
}

test("reads a large object as it reads a small one", async () => {
  const objects = fc.dictionary(
    fc.string({ unit: "binary" }).filter((it) => it !== "padding" && it !== "__proto__"),
    fc.jsonValue(),
  );
  await fc.assert(
    fc.asyncProperty(objects, fc.constantFrom(undefined, 1, "\t"), async (object, space) => {
      const text = JSON.stringify(object, null, space);
      expect(await parsedInParts(text)).toEqual(parseWireJson(text));
    }),
    { numRuns: 60 },
  );
});

test("reads nothing that is made of very many values, however they are nested", async () => {
  const listOf = (item: string, count: number) => `[${`${item},`.repeat(count - 1)}${item}]`;
  for (const [item, count] of [
    ["[]", 50_000],
    ["0", 500_000],
  ] as const) {
    const many = Buffer.from(`{"pdus":${listOf(listOf(item, count), 8)}}`);
    await expect(parseAnswer(many, 4 * count)).rejects.toThrow(SyntaxError);
    expect(await parseAnswer(many, 20 * count)).toHaveProperty("pdus.length", 8);
  }
});

test("keeps the numbers that old rooms have", async () => {
  const text = '{"pdus":[{"depth":1.0},{"depth":99999999999999999999}]}';
  expect(JSON.stringify(await parsedInParts(text))).toBe(JSON.stringify(parseWireJson(text)));
});

describe("of a large answer that is no JSON, nothing", () => {
  test.each([
    '{"a":[1,]}',
    '{"a":[1 2]}',
    '{"a":[,1]}',
    '{"a":1,}',
    '{"a":{"b":1}',
    '{"a" 1}',
    "{a:1}",
    '{"a":[{"b":}]}',
    '{"a":["\\x"]}',
    "{1:1}",
    '{"a":tru}',
    '{"a":[1}',
  ])("of %s", async (text) => {
    await expect(parsedInParts(text)).rejects.toThrow(SyntaxError);
  });

  test("if something comes after it, or it ends early", async () => {
    const whole = padded('{"a":[1]}').toString();
    await expect(parseAnswer(Buffer.from(`${whole}x`))).rejects.toThrow(SyntaxError);
    await expect(parseAnswer(Buffer.from(whole.slice(0, -1)))).rejects.toThrow(SyntaxError);
    await expect(parseAnswer(Buffer.from(whole.slice(0, 900)))).rejects.toThrow(SyntaxError);
  });

  test("if it is not UTF-8", async () => {
    await expect(parseAnswer(Buffer.from([0x22, 0xff, 0x22]))).rejects.toThrow(SyntaxError);
  });
});

describe("lets others have their turn while it reads", () => {
  const event = { type: "m.room.member", content: { membership: "join" }, hashes: "x".repeat(600) };
  const state = Array.from({ length: 20_000 }, () => event);
  const byKey = Object.fromEntries(state.map((it, index) => [`k${index}`, it]));

  test.each<[what: string, answer: unknown]>([
    ["a large list", { state }],
    ["a list as the whole answer", state],
    ["an answer of the first version, with its status before it", [200, { state }]],
    ["a large object", byKey],
    ["a large object in another", { failures: {}, device_keys: byKey }],
  ])("%s", async (_what, answer) => {
    const text = JSON.stringify(answer);
    const { parsed, turns } = await turnsDuring(Buffer.from(text));
    expect(parsed).toEqual(answer);
    expect(turns).toBeGreaterThan(20);
  });
});

async function turnsDuring(bytes: Buffer): Promise<{ parsed: unknown; turns: number }> {
  let turns = 0;
  let done = false;
  const count = async () => {
    while (!done) {
      await nextTurn();
      turns++;
    }
  };
  const counting = count();
  const parsed = await parseAnswer(bytes);
  done = true;
  await counting;
  return { parsed, turns };
}

describe("of what is large in a way in which no answer is, nothing", () => {
  const large = "x".repeat(300 * 1024);
  const nested = (depth: number) =>
    `${'{"a":['.repeat(depth)}"${large}","${large}"${"]}".repeat(depth)}`;

  test.each<[what: string, text: string]>([
    ["a string that is far too long", `{"a":"${"x".repeat(2 * 1024 * 1024)}"}`],
    ["a number that is far too long", `{"a":${"1".repeat(2 * 1024 * 1024)}}`],
    ["far too much space", `{"a":${" ".repeat(2 * 1024 * 1024)}1}`],
    ["what is nested too deeply", nested(5)],
    ["too many items", `[${"1,".repeat(1_000_000)}1]`],
    ["too many keys", `{${'"key":1,'.repeat(100_000)}"":1}`],
  ])("of %s", async (_what, text) => {
    await expect(parseAnswer(Buffer.from(text))).rejects.toThrow(SyntaxError);
  });

  test("but of what is nested as answers are, all", async () => {
    const text = nested(4);
    expect(await parseAnswer(Buffer.from(text))).toEqual(JSON.parse(text));
  });
});
