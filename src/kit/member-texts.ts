const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The texts of an object's members, by their keys as they are written: what is passed on as it is need
 * not be parsed.
 *
 * @param text an object in Canonical JSON, strict or lax: without white space, and valid.
 * @throws SyntaxError for what is no such text, as far as that is noticed.
 */
export function memberTexts(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = 1;
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = endOfString(text, at);
    // The colon is between.
    const end = endOfValue(text, keyEnd + 1);
    members.set(text.slice(at + 1, keyEnd - 1), text.slice(keyEnd + 1, end));
    at = end + 1;
  }
  // Behind the last brace, or between the two of an object without members.
  const isWhole = at === 1 ? text === "{}" : at === text.length;
  if (!isWhole) throw new SyntaxError("not an object in Canonical JSON");
  return members;
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
    const char = text[at];
    if (char === '"') at = endOfString(text, at);
    else {
      if (depth === 0 && (char === "," || char === "}")) return at;
      if (char === "{" || char === "[") depth++;
      else if (char === "}" || char === "]") depth--;
      at++;
    }
  }
  throw new SyntaxError("a value without an end");
}
