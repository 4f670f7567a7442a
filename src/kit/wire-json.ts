import { floatLiteral } from "./canonical-json.ts";
import { rawLiteral } from "./raw-literal.ts";

/**
 * Where a number stands that JSON.parse may not keep: with a point or an exponent, with many digits, or
 * a negative zero. What looks like one inside a string costs time, and no more; a key ID such as
 * `ed25519:4e24c79c`, which is in each event of its server, does not look like one.
 */
const SUSPECT =
  /(?:^|[:,[])\s*(?:-0|-?[0-9]{16,}|-?[0-9]+(?:\.[0-9]+)?[eE][-+]?[0-9]+|-?[0-9]+\.[0-9]+)\s*(?:[,\]}]|$)/;

/** Whether `parseWireJson` has to look at the numbers of a text one by one, which takes ten times as long. */
export function hasSuspectNumbers(text: string): boolean {
  return SUSPECT.test(text);
}

/**
 * Parses JSON that another server made or that our own store holds, and keeps of its numbers what
 * the hashes of old events depend on: that `1.0` was no `1`, and every digit of 2⁶⁴. Such numbers
 * become raw literals, spelt as `laxCanonicalJson` spells them; `canonicalJson` refuses them.
 *
 * As fast as JSON.parse for a text that has none.
 *
 * @throws SyntaxError also for what is nested so deeply that nobody means it.
 * @spec rooms/v1#canonical-json
 */
export function parseWireJson(text: string): unknown {
  if (ESCAPED_KEY.test(text)) return parseEscapedKeys(text, numberOf);
  if (!hasSuspectNumbers(text)) return JSON.parse(text);
  return parseWithNumbers(text, numberOf, (value) => value);
}

/**
 * Parses JSON that clients send: with JavaScript's own numbers, and with the keys that are there (see
 * `parseEscapedKeys`).
 *
 * @throws SyntaxError
 */
export function parseClientJson(text: string): unknown {
  return ESCAPED_KEY.test(text) ? parseEscapedKeys(text, (value) => value) : JSON.parse(text);
}

/** The last escape in a key. */
const ESCAPED_KEY = /\\.[^"\\]*"\s*:/s;

const STRING_OR_MARK = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}:]/gs;
const MARK_OF_LIST: ReadonlyMap<string, string> = new Map([
  ["{", '{"":['],
  ["}", "]}"],
  [":", ","],
]);

/**
 * Parses a text that has keys with escapes in them. V8 14.6, that of Node 26, may take such a key for
 * another one that it has met in an object of the same shape: after `{"\\":1}` it reads `{"\n":1}` as
 * that again. So keys are read as strings in a list, which it gets right.
 */
function parseEscapedKeys(text: string, readNumber: NumberReader): unknown {
  // Whether it is JSON at all. That of the lists may be when the text is not.
  JSON.parse(text);
  const listed = text.replace(STRING_OR_MARK, (token) => MARK_OF_LIST.get(token) ?? token);
  return parseWithNumbers(listed, readNumber, (value) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    const list = (value as { readonly ""?: readonly unknown[] })[""] ?? [];
    // An even number of items: each key, and what it holds.
    return Object.fromEntries(
      Array.from({ length: list.length / 2 }, (_, index) => [list[2 * index], list[2 * index + 1]]),
    );
  });
}

/** Parses a text with its numbers as they are written, and puts all other values through `revive`. */
function parseWithNumbers(
  text: string,
  readNumber: NumberReader,
  revive: (value: unknown) => unknown,
): unknown {
  try {
    return parseWithSource(text, (_key, value, context) =>
      typeof value === "number"
        ? readNumber(value, context?.source ?? String(value))
        : revive(value),
    );
  } catch (error) {
    // JSON.parse itself nests without end; with a reviver it does so on the stack.
    if (error instanceof RangeError) throw new SyntaxError("nested too deeply", { cause: error });
    throw error;
  }
}

type NumberReader = (value: number, source: string) => unknown;

type Reviver = (key: string, value: unknown, context?: { readonly source?: string }) => unknown;

// ES2025 tells a reviver the source of a primitive; the compiler's library does not know it yet.
const parseWithSource = JSON.parse as (text: string, reviver: Reviver) => unknown;

function numberOf(value: number, source: string): unknown {
  const spelling = /[.eE]/.test(source) ? floatSpelling(value) : integerSpelling(source);
  return spelling === undefined || spelling === String(value) ? value + 0 : rawLiteral(spelling);
}

/** Undefined for what is beyond doubles: the number stays infinite, and no encoding takes it. */
function floatSpelling(value: number): string | undefined {
  return Number.isFinite(value) ? floatLiteral(value) : undefined;
}

function integerSpelling(source: string): string {
  return source === "-0" ? "0" : source;
}
