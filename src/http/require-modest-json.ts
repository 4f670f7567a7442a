import { MatrixError } from "#src/kit/matrix-error.ts";

/** How deep a JSON body may be nested: more than any client needs, less than recursion can bear. */
const MOST_DEPTH = 100;

/**
 * How many names and values a JSON body may have. To parse one and to check its form takes some
 * microseconds of everybody's time; the largest uploads of clients have some ten thousand.
 */
const MOST_PARTS = 200_000;

/**
 * Refuses a text that, if it is JSON, would take too long or too much stack to be read. Looks at it once,
 * and makes nothing of it.
 *
 * @throws MatrixError M_BAD_JSON if it is nested too deep, M_TOO_LARGE if it has too many parts.
 */
export function requireModestJson(text: string): void {
  let depth = 0;
  let parts = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) inString = !inString;
    else if (inString) {
      if (code === BACKSLASH) at++;
    } else {
      const deeper = MARKS.get(code);
      if (deeper === undefined) continue;
      if (deeper === 0) parts++;
      depth += deeper;
      if (depth > MOST_DEPTH) throw tooDeep();
    }
  }
  if (parts > MOST_PARTS) throw tooMany();
}

const [QUOTE, BACKSLASH] = [codeOf('"'), codeOf("\\")];

/** What stands between names and values, and how much deeper one is after it. */
const MARKS: ReadonlyMap<number, number> = new Map([
  [codeOf("{"), 1],
  [codeOf("["), 1],
  [codeOf("}"), -1],
  [codeOf("]"), -1],
  [codeOf(","), 0],
  [codeOf(":"), 0],
]);

function codeOf(character: string): number {
  return character.charCodeAt(0);
}

function tooDeep(): MatrixError {
  return new MatrixError("M_BAD_JSON", `The body is nested deeper than ${MOST_DEPTH} levels`);
}

function tooMany(): MatrixError {
  return new MatrixError("M_TOO_LARGE", `The body has more than ${MOST_PARTS} names and values`);
}
