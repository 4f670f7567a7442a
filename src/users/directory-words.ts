import type { Tx } from "#src/homeserver/database.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";

/** More words than any name has. */
const MOST_WORDS = 30;

/** Longer words are found by their beginnings: an index has no room for any that somebody may make up. */
const MOST_CHARACTERS = 100;

/** Words of every script: also of those that put no spaces between them. It reads dictionaries, for which a start does not wait. */
let segmenter: Intl.Segmenter | undefined;

/** The words of a text, without accents and in lower case. */
export function wordsOf(text: string): string[] {
  const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = plain
    .split(/[^\p{L}\p{N}]+/u)
    .flatMap((part) => [part, ...segments(part)])
    .filter((it) => it !== "")
    .map((it) => it.slice(0, MOST_CHARACTERS).toWellFormed());
  return [...new Set(words)].slice(0, MOST_WORDS);
}

/** The words by which a user is found. The user ID is one as a whole, too. */
export function wordsOfUser(userId: UserId, displayname: string | undefined): string[] {
  const localpart = userId.slice(1, userId.length - serverNameOf(userId).length - 1);
  const ofName = displayname === undefined ? [] : wordsOf(displayname);
  return [...new Set([userId.slice(1).toLowerCase(), ...wordsOf(localpart), ...ofName])];
}

/** What a search looks for: words that all must be found, at least by their beginnings. */
export function searchWords(term: string): string[] {
  const trimmed = term.trim();
  // A user ID, or the beginning of one.
  if (trimmed.startsWith("@")) return trimmed.length > 1 ? [trimmed.slice(1).toLowerCase()] : [];
  const words = wordsOf(trimmed);
  // A word that is the beginning of another that is looked for says nothing new.
  return words.filter((it) => !words.some((other) => other !== it && other.startsWith(it)));
}

/** Makes the directory find a user by their ID and a name, and by no other name any longer. */
export async function replaceWords(
  tx: Tx,
  { userKey, userId }: { readonly userKey: number; readonly userId: UserId },
  displayname: string | undefined,
): Promise<void> {
  const words = wordsOfUser(userId, displayname);
  await tx`
    with gone as (
      delete from directory_words where user_key = ${userKey} and word <> all(${words}::text[])
    )
    insert into directory_words (user_key, word)
    select ${userKey}::bigint, word from unnest(${words}::text[]) as word
    on conflict do nothing`;
}

function segments(part: string): string[] {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: "word" });
  return [...segmenter.segment(part)].map((it) => it.segment);
}
