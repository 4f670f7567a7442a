import { isUtf8 } from "node:buffer";
import { setImmediate as nextTurn } from "node:timers/promises";
import { parseWireJson } from "#src/kit/wire-json.ts";

/** What is smaller is parsed at once: some hundredths of a second. */
const LARGE_BYTES = 512 * 1024;

/** How much is parsed before others have their turn. */
const TURN_BYTES = 256 * 1024;

const [QUOTE, COMMA, COLON, BACKSLASH] = [0x22, 0x2c, 0x3a, 0x5c];
const SPACES = [0x20, 0x0a, 0x0d, 0x09];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Parses the JSON of an answer as `parseWireJson` does. The lists of a large one, such as the state of
 * a large room, are parsed item by item, so that nobody else waits for the whole.
 *
 * @throws SyntaxError if it is no JSON in UTF-8.
 */
export async function parseAnswer(bytes: Buffer): Promise<unknown> {
  if (!isUtf8(bytes)) throw new SyntaxError("not UTF-8");
  if (bytes.length < LARGE_BYTES) return parseWireJson(bytes.toString());
  return await parseLargeObject(bytes);
}

async function parseLargeObject(bytes: Buffer): Promise<unknown> {
  let at = afterSpace(bytes, 0);
  if (bytes[at] !== OPEN_BRACE) return parseWireJson(bytes.toString());
  const entries: [string, unknown][] = [];
  at = afterSpace(bytes, at + 1);
  while (bytes[at] !== CLOSE_BRACE) {
    const keyEnd = endOfValue(bytes, at);
    const key = parseWireJson(bytes.toString("utf8", at, keyEnd));
    if (typeof key !== "string") throw malformed(at);
    at = afterSpace(bytes, expect(bytes, afterSpace(bytes, keyEnd), COLON));
    if (bytes[at] === OPEN_BRACKET) {
      const list = await parseLargeList(bytes, at);
      entries.push([key, list.items]);
      at = list.end;
    } else {
      const end = endOfValue(bytes, at);
      entries.push([key, parseWireJson(bytes.toString("utf8", at, end))]);
      at = end;
    }
    at = afterItem(bytes, at, CLOSE_BRACE);
  }
  if (afterSpace(bytes, at + 1) !== bytes.length) throw malformed(at);
  // Object.fromEntries, since a key could be `__proto__`.
  return Object.fromEntries(entries);
}

async function parseLargeList(
  bytes: Buffer,
  start: number,
): Promise<{ items: unknown[]; end: number }> {
  const items: unknown[] = [];
  let turnBegan = start;
  let at = afterSpace(bytes, start + 1);
  while (bytes[at] !== CLOSE_BRACKET) {
    const end = endOfValue(bytes, at);
    items.push(parseWireJson(bytes.toString("utf8", at, end)));
    at = afterItem(bytes, end, CLOSE_BRACKET);
    if (at - turnBegan > TURN_BYTES) {
      await nextTurn();
      turnBegan = at;
    }
  }
  return { items, end: at + 1 };
}

/** The place after an item: of the next item, or of what closes them. */
function afterItem(bytes: Buffer, end: number, close: number): number {
  const at = afterSpace(bytes, end);
  if (bytes[at] === close) return at;
  const next = afterSpace(bytes, expect(bytes, at, COMMA));
  // A comma before the end is no JSON.
  if (bytes[next] === close) throw malformed(next);
  return next;
}

function expect(bytes: Buffer, at: number, byte: number): number {
  if (bytes[at] !== byte) throw malformed(at);
  return at + 1;
}

/** Where a value ends, if it is one: that is for the parser to say. */
function endOfValue(bytes: Buffer, start: number): number {
  const first = bytes[start];
  if (first === QUOTE) return endOfString(bytes, start) + 1;
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfNested(bytes, start);
  let at = start;
  while (at < bytes.length && !ENDS_LITERAL.has(bytes[at] ?? 0)) at++;
  return at;
}

/** What may follow a number, `true`, `false` or `null`. */
const ENDS_LITERAL = new Set([COMMA, COLON, CLOSE_BRACE, CLOSE_BRACKET, ...SPACES]);

function endOfNested(bytes: Buffer, start: number): number {
  let depth = 0;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (--depth === 0) return at + 1;
    }
  }
  throw malformed(start);
}

/** Where the quote is that closes a string. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; ; at++) {
    at = bytes.indexOf(QUOTE, at);
    if (at < 0) throw malformed(start);
    let backslashes = 0;
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}

function afterSpace(bytes: Buffer, start: number): number {
  let at = start;
  while (SPACES.includes(bytes[at] ?? 0)) at++;
  return at;
}

function malformed(at: number): SyntaxError {
  return new SyntaxError(`not JSON at byte ${at}`);
}
