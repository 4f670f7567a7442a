const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/**
 * The texts of an object's members, by their keys as they are written: what is passed on as it is need
 * not be parsed.
 *
 * @param text an object in Canonical JSON, strict or lax: without white space, and valid.
 * @throws SyntaxError for what is no such text, as far as that is noticed.
 */
export function memberTexts(text: string): Map<string, string> {
  const members = new Map<string, string>();
  eachMember(text, (key, start, end) =>
    members.set(key, text.slice(start + key.length + `"":`.length, end)),
  );
  return members;
}

/**
 * Goes through an object's members.
 *
 * @param text as of `memberTexts`.
 * @param take gets a key, as it is written, and where the member stands: from before the key to behind the value.
 * @throws SyntaxError as `memberTexts`.
 */
export function eachMember(
  text: string,
  take: (key: string, start: number, end: number) => void,
): void {
  let start = 1;
  while (text.charCodeAt(start) === QUOTE) {
    const colon = endOfString(text, start);
    const end = endOfValue(text, colon + 1);
    take(text.slice(start + 1, colon - 1), start, end);
    start = end + 1;
  }
  // Behind the last brace, or between the two of an object without members.
  const isWhole = start === 1 ? text === "{}" : start === text.length;
  if (!isWhole) throw new SyntaxError("not an object in Canonical JSON");
}

/** @returns the index behind the closing quote. */
function endOfString(text: string, start: number): number {
  for (let from = start + 1; ;) {
    const quote = text.indexOf('"', from);
    if (quote < 0) throw new SyntaxError("a string without an end");
    let before = quote;
    while (text.charCodeAt(before - 1) === BACKSLASH) before--;
    // An even number of backslashes are themselves escaped.
    if ((quote - before) % 2 === 0) return quote + 1;
    from = quote + 1;
  }
}

/** @returns the index behind the value. */
function endOfValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length;) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) at = endOfString(text, at);
    else {
      if (depth === 0 && (char === COMMA || char === CLOSING_BRACE)) return at;
      if (char === OPENING_BRACE || char === OPENING_BRACKET) depth++;
      else if (char === CLOSING_BRACE || char === CLOSING_BRACKET) depth--;
      at++;
    }
  }
  throw new SyntaxError("a value without an end");
}
