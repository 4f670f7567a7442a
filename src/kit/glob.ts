/**
 * Globs as the specification has them: `*` is any run of characters, `?` any one. Never by a regular expression: patterns and texts
 * come from outside, and a pattern of many stars makes one take hours.
 *
 * @spec appendices#glob-style-matching
 */
export function matchesGlob(glob: string, text: string): boolean {
  return find(glob.split("*"), text, { single: "?", mayStart: isStart, mayEnd: isEnd });
}

/** Matches a pattern in which only `*` is special, as the types of a filter are. */
export function matchesStars(pattern: string, text: string): boolean {
  if (!pattern.includes("*")) return pattern === text;
  return find(pattern.split("*"), text, { single: undefined, mayStart: isStart, mayEnd: isEnd });
}

/**
 * Whether a glob matches some part of a text that begins and ends at word boundaries: the ends of the text, and wherever a character stands
 * that is no ASCII letter, digit or underscore.
 *
 * @spec client-server-api#push-rules
 */
export function matchesGlobInWords(glob: string, text: string): boolean {
  return find(glob.split("*"), text, {
    single: "?",
    mayStart: isWordBoundary,
    mayEnd: isWordBoundary,
  });
}

type Bounds = {
  /** The character that stands for any one; undefined if none does. */
  readonly single: string | undefined;
  readonly mayStart: (text: string, at: number) => boolean;
  readonly mayEnd: (text: string, at: number) => boolean;
};

const isStart = (_text: string, at: number) => at === 0;
const isEnd = (text: string, at: number) => at === text.length;

function isWordBoundary(text: string, at: number): boolean {
  return !isWordCharacter(text, at - 1) || !isWordCharacter(text, at);
}

function isWordCharacter(text: string, at: number): boolean {
  return /\w/.test(text.charAt(at));
}

/**
 * Finds what stands between the stars, one piece after the other, each as early as it can be: if that
 * does not lead to a match, nothing does.
 */
function find(pieces: readonly string[], text: string, bounds: Bounds): boolean {
  const last = pieces.length - 1;
  let at = 0;
  for (const [index, piece] of pieces.entries()) {
    const end = findPiece(
      { piece, isFirst: index === 0, isLast: index === last },
      text,
      at,
      bounds,
    );
    if (end === undefined) return false;
    at = end;
  }
  return true;
}

type Piece = { readonly piece: string; readonly isFirst: boolean; readonly isLast: boolean };

/** Where the first occurrence that may stand there ends. */
function findPiece(
  { piece, isFirst, isLast }: Piece,
  text: string,
  from: number,
  { single, mayStart, mayEnd }: Bounds,
): number | undefined {
  for (let start = from; start <= text.length; start++) {
    if (isFirst && !mayStart(text, start)) continue;
    const end = endOfMatch(piece, text, start, single);
    if (end !== undefined && (!isLast || mayEnd(text, end))) return end;
  }
  return undefined;
}

function endOfMatch(
  piece: string,
  text: string,
  start: number,
  single: string | undefined,
): number | undefined {
  if (single === undefined || !piece.includes(single)) {
    return text.startsWith(piece, start) ? start + piece.length : undefined;
  }
  let at = start;
  for (const character of piece) {
    const found = text.codePointAt(at);
    if (found === undefined) return undefined;
    if (character !== single && character.codePointAt(0) !== found) return undefined;
    at += found > 0xff_ff ? 2 : 1;
  }
  return at;
}
