import { isUtf8 } from "node:buffer";
import { setImmediate as nextTurn } from "node:timers/promises";
import { parseWireJson } from "#src/kit/wire-json.ts";

/** What is smaller is parsed at once: some hundredths of a second. */
const LARGE_BYTES = 512 * 1024;

/** How much is parsed before others have their turn. */
const TURN_BYTES = 256 * 1024;

/** How deep large objects and lists are nested that are taken apart: devices by their users in an answer. */
const MOST_DEPTH = 8;

/** How many items a large list has at most, and how many keys a large object: more than any that is meant. */
const MOST_ITEMS = 1_000_000;
const MOST_KEYS = 100_000;

/**
 * How many values an answer may be made of, in all: twice as many as there are in a quarter of a gigabyte of events. Each
 * takes ten times as much memory as `[],` does.
 */
const MOST_PARTS = 10_000_000;

/** The longest string, number or space: there are events of 64 KiB, and nothing is longer. */
const MOST_TEXT_BYTES = 1024 * 1024;

const [QUOTE, COMMA, COLON, BACKSLASH] = [0x22, 0x2c, 0x3a, 0x5c];
const SPACES = [0x20, 0x0a, 0x0d, 0x09];
const [OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Parses the JSON of an answer as `parseWireJson` does. What is large in it, such as the state of a large room, is parsed
 * item by item, however it is nested, so that nobody else waits for the whole.
 *
 * @throws SyntaxError if it is no JSON in UTF-8, or large in a way in which no answer is.
 */
export async function parseAnswer(bytes: Buffer, mostParts = MOST_PARTS): Promise<unknown> {
  if (!isUtf8(bytes)) throw new SyntaxError("not UTF-8");
  if (bytes.length < LARGE_BYTES) return parseWireJson(bytes.toString());
  const start = afterSpace(bytes, 0);
  const reading: Reading = { bytes, turnBegan: 0, partsLeft: mostParts };
  const whole = parseSmall(reading, start) ?? (await parseLarge(reading, start, 0));
  if (afterSpace(bytes, whole.end) !== bytes.length) throw malformed(whole.end);
  return whole.value;
}

/** What is being parsed, from where on without a turn for others, and how many values more there may be in it. */
type Reading = { readonly bytes: Buffer; turnBegan: number; partsLeft: number };

type Parsed<T = unknown> = { readonly value: T; readonly end: number };

/** Parses a value at once. @returns undefined of an object or a list that is too large for that. */
function parseSmall(reading: Reading, start: number): Parsed | undefined {
  const { bytes } = reading;
  const end = endOfValue(reading, start);
  return end === undefined
    ? undefined
    : { value: parseWireJson(bytes.toString("utf8", start, end)), end };
}

/** Parses an object or a list item by item. */
async function parseLarge(reading: Reading, start: number, depth: number): Promise<Parsed> {
  if (depth === MOST_DEPTH) throw malformed(start);
  const isObject = reading.bytes[start] === OPEN_BRACE;
  return await (isObject ? parseLargeObject : parseLargeList)(reading, start, depth);
}

async function parseLargeObject(
  reading: Reading,
  start: number,
  depth: number,
): Promise<Parsed<object>> {
  const { bytes } = reading;
  const entries: [string, unknown][] = [];
  let at = afterSpace(bytes, start + 1);
  while (bytes[at] !== CLOSE_BRACE) {
    const key = parseSmall(reading, at);
    if (typeof key?.value !== "string" || entries.length === MOST_KEYS) throw malformed(at);
    at = afterSpace(bytes, expect(bytes, afterSpace(bytes, key.end), COLON));
    const { value, end } = parseSmall(reading, at) ?? (await parseLarge(reading, at, depth + 1));
    entries.push([key.value, value]);
    at = afterItem(bytes, end, CLOSE_BRACE);
    if (at - reading.turnBegan > TURN_BYTES) await letOthers(reading, at);
  }
  // Object.fromEntries, since a key could be `__proto__`.
  return { value: Object.fromEntries(entries), end: at + 1 };
}

async function parseLargeList(
  reading: Reading,
  start: number,
  depth: number,
): Promise<Parsed<readonly unknown[]>> {
  const { bytes } = reading;
  const items: unknown[] = [];
  let at = afterSpace(bytes, start + 1);
  while (bytes[at] !== CLOSE_BRACKET) {
    if (items.length === MOST_ITEMS) throw malformed(at);
    // What is small is not waited for: there may be very much of it.
    const { value, end } = parseSmall(reading, at) ?? (await parseLarge(reading, at, depth + 1));
    items.push(value);
    at = afterItem(bytes, end, CLOSE_BRACKET);
    if (at - reading.turnBegan > TURN_BYTES) await letOthers(reading, at);
  }
  return { value: items, end: at + 1 };
}

async function letOthers(reading: Reading, at: number): Promise<void> {
  await nextTurn();
  reading.turnBegan = at;
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

/** Where a value ends, if it is one: that is for the parser to say. Undefined of a large object or list. */
function endOfValue(reading: Reading, start: number): number | undefined {
  const { bytes } = reading;
  const first = bytes[start];
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return endOfNested(reading, start);
  count(reading, 1, start);
  if (first === QUOTE) return endOfString(bytes, start) + 1;
  const end = Math.min(bytes.length, start + MOST_TEXT_BYTES);
  let at = start;
  while (at < end && !ENDS_LITERAL.has(bytes[at] ?? 0)) at++;
  return at;
}

/** What may follow a number, `true`, `false` or `null`. */
const ENDS_LITERAL = new Set([COMMA, COLON, CLOSE_BRACE, CLOSE_BRACKET, ...SPACES]);

function endOfNested(reading: Reading, start: number): number | undefined {
  const { bytes } = reading;
  let depth = 0;
  let parts = 0;
  for (let at = start; at < bytes.length; at++) {
    if (at - start > TURN_BYTES) return undefined;
    const byte = bytes[at];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === COMMA) parts++;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth++;
      parts++;
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      if (--depth > 0) continue;
      count(reading, parts, start);
      return at + 1;
    }
  }
  throw malformed(start);
}

/** @throws SyntaxError if there are too many. */
function count(reading: Reading, parts: number, at: number): void {
  reading.partsLeft -= parts;
  if (reading.partsLeft < 0) throw malformed(at);
}

/** Where the quote is that closes a string. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; ; at++) {
    at = bytes.indexOf(QUOTE, at);
    if (at < 0 || at - start > MOST_TEXT_BYTES) throw malformed(start);
    let backslashes = 0;
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
}

function afterSpace(bytes: Buffer, start: number): number {
  let at = start;
  while (SPACES.includes(bytes[at] ?? 0)) {
    if (at++ - start > MOST_TEXT_BYTES) throw malformed(start);
  }
  return at;
}

function malformed(at: number): SyntaxError {
  return new SyntaxError(`not JSON at byte ${at}`);
}
