/**
 * Globs as the specification has them: `*` is any run of characters, `?` any one. Never by a regular expression of the whole: patterns and
 * texts come from outside, and a pattern of many stars makes one take hours.
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
  const code = text.charCodeAt(at);
  return (
    (code >= 97 && code <= 122) || // a–z
    (code >= 65 && code <= 90) || // A–Z
    (code >= 48 && code <= 57) || // 0–9
    code === 95 // _
  );
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
  const next = occurrencesOf(piece, text, single);
  for (let at = from; at <= text.length;) {
    const found = next(at);
    if (!found) return undefined;
    const { start, end } = found;
    const fits = (!isFirst || mayStart(text, start)) && (!isLast || mayEnd(text, end));
    if (fits) return end;
    at = start + ((text.codePointAt(start) ?? 0) > 0xff_ff ? 2 : 1);
  }
  return undefined;
}

type Occurrence = { readonly start: number; readonly end: number };

/**
 * What finds the next occurrence of a piece from some place on. The search itself is the engine's: with
 * rules of many users on long texts it is what takes the time.
 */
function occurrencesOf(
  piece: string,
  text: string,
  single: string | undefined,
): (from: number) => Occurrence | undefined {
  if (single === undefined || !piece.includes(single)) {
    return (from) => {
      const start = text.indexOf(piece, from);
      return start < 0 ? undefined : { start, end: start + piece.length };
    };
  }
  // Without a quantifier there is nothing to go back to: no place is tried longer than the piece is.
  const expression = new RegExp(
    piece
      .split(single)
      .map((it) => RegExp.escape(it))
      .join("."),
    "gsu",
  );
  return (from) => {
    expression.lastIndex = from;
    const start = expression.exec(text)?.index;
    return start === undefined ? undefined : { start, end: expression.lastIndex };
  };
}
