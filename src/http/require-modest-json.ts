import { MatrixError } from "#src/kit/matrix-error.ts";

/** What a JSON body may be made of. */
export type Modesty = {
  /** How deep it may be nested. */
  readonly mostDepth: number;
  /** How many names and values it may have: to parse one and to check its form takes some microseconds of everybody's time. */
  readonly mostParts: number;
};

/** Nested deeper than any client needs, and less than recursion can bear; the largest uploads have some ten thousand parts. */
const OF_CLIENTS: Modesty = { mostDepth: 100, mostParts: 200_000 };

/**
 * Refuses a text that, if it is JSON, would take too long or too much memory or stack to be read. Looks at it once,
 * and makes nothing of it.
 *
 * @throws MatrixError M_BAD_JSON if it is nested too deep, M_TOO_LARGE if it has too many parts.
 */
export function requireModestJson(
  text: string,
  { mostDepth, mostParts }: Modesty = OF_CLIENTS,
): void {
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
      if (depth > mostDepth) throw tooDeep(mostDepth);
    }
  }
  if (parts > mostParts) throw tooMany(mostParts);
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

function tooDeep(most: number): MatrixError {
  return new MatrixError("M_BAD_JSON", `The body is nested deeper than ${most} levels`);
}

function tooMany(most: number): MatrixError {
  return new MatrixError("M_TOO_LARGE", `The body has more than ${most} names and values`);
}
