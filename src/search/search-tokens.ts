/** What a search looks for. */
export type SearchTerms = {
  /** Words that must be there, at least by their beginnings. */
  readonly words: readonly string[];
  /** Runs of characters of scripts that put no spaces between words: these must be there as they are. */
  readonly runs: readonly string[];
};

/** Of more words than these the first are looked for; of a longer word its beginning. */
const MOST_TERMS = 16;
const MOST_CHARACTERS = 64;

/** A text has at most as many tokens: more than one event can hold words. */
const MOST_TOKENS = 20_000;

/** Shorter words are looked for as they are: too much begins with them. */
const LEAST_PREFIX = 3;

/** Scripts without spaces between words, and the mark that makes a vowel long in kana. */
const UNSPACED =
  "\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}\\p{Script=Bopomofo}" +
  "\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}\\u30fc";
const PART = new RegExp(`(?<run>[${UNSPACED}]+)|(?:(?![${UNSPACED}])[\\p{L}\\p{N}\\p{M}])+`, "gu");

/** What the bulk of messages is made of: nothing in it has several forms, and its words are found much faster. */
const ASCII = /^[\0-\x7f]*$/;
const ASCII_WORD = /[a-z\d]+/g;

/** A text without case, accents, and the several forms in which the same characters may be written. */
function normalised(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase();
  const plain = text.normalize("NFKD").replaceAll(/[\u0300-\u036f]/g, "");
  return plain.normalize("NFKC").toLowerCase();
}

/**
 * The tokens by which a text is found: its words, and of scripts without spaces each pair of neighbours and the last
 * character of each run. So every character begins a token, and every run is made of pairs.
 */
export function tokensOf(text: string): string[] {
  const tokens = new Set<string>();
  const plain = normalised(text);
  if (ASCII.test(plain)) {
    for (const word of plain.match(ASCII_WORD) ?? []) tokens.add(word.slice(0, MOST_CHARACTERS));
    return [...tokens].slice(0, MOST_TOKENS);
  }
  for (const { 0: part, groups } of plain.matchAll(PART)) {
    if (tokens.size >= MOST_TOKENS) break;
    if (groups?.["run"] === undefined) tokens.add(part.slice(0, MOST_CHARACTERS));
    else for (const it of pairsOf(part)) tokens.add(it);
  }
  return [...tokens];
}

function pairsOf(run: string): string[] {
  const characters = Array.from(run);
  return characters.map((it, index) => it + (characters[index + 1] ?? ""));
}

/** What a search term asks for. */
export function termsOf(searchTerm: string): SearchTerms {
  const parts = [...normalised(searchTerm).matchAll(PART)].slice(0, MOST_TERMS);
  const isRun = (it: RegExpExecArray) => it.groups?.["run"] !== undefined;
  const words = parts.filter((it) => !isRun(it)).map((it) => it[0].slice(0, MOST_CHARACTERS));
  const runs = parts
    .filter(isRun)
    .map((it) => Array.from(it[0]).slice(0, MOST_CHARACTERS).join(""));
  return { words: [...new Set(words)], runs: [...new Set(runs)] };
}

/** What finds the entries that may have it all, as text of a `tsquery`; undefined if nothing is looked for. */
export function queryOf({ words, runs }: SearchTerms): string | undefined {
  const ofWords = words.map((it) => (it.length >= LEAST_PREFIX ? `'${it}':*` : `'${it}'`));
  const ofRuns = runs.flatMap((run) => {
    const pairs = pairsOf(run);
    return pairs.length === 1 ? [`'${run}':*`] : pairs.slice(0, -1).map((it) => `'${it}'`);
  });
  const all = [...new Set([...ofWords, ...ofRuns])];
  return all.length > 0 ? all.join(" & ") : undefined;
}

/** How often and how densely a text has what is looked for, from 0 to 1; 0 if it lacks any of it. */
export function rankOf(text: string, terms: SearchTerms): number {
  const found = foundIn(text, terms);
  if (!found) return 0;
  const hits = found.words.length + found.runs.reduce((sum, it) => sum + it.count, 0);
  // Every further time counts less, and the more the longer the text is.
  const density = hits / (hits + 2 + Math.log2(1 + text.length));
  return density;
}

/** The words of a text that a search has found, to be shown as such. */
export function highlightsOf(text: string, terms: SearchTerms): string[] {
  const found = foundIn(text, terms);
  return found ? [...new Set([...found.words, ...found.runs.map((it) => it.run)])] : [];
}

function foundIn(text: string, { words, runs }: SearchTerms) {
  const plain = normalised(text);
  const foundRuns = runs.map((run) => ({ run, count: plain.split(run).length - 1 }));
  if (foundRuns.some((it) => it.count === 0)) return undefined;
  const parts = words.length === 0 ? [] : [...plain.matchAll(PART)].map((it) => it[0]);
  const begins = (part: string, word: string) =>
    word.length >= LEAST_PREFIX ? part.startsWith(word) : part === word;
  if (words.some((word) => !parts.some((part) => begins(part, word)))) return undefined;
  return {
    words: parts.filter((part) => words.some((word) => begins(part, word))),
    runs: foundRuns,
  };
}
