import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { searchWords, wordsOfUser } from "./directory-words.ts";
import { catchUpDirectory } from "./follow-events.ts";
import { nameInMember } from "./name-in-member.ts";

/** More candidates than this are not looked at: who searches for one letter must type another. */
const MOST_CANDIDATES = 5_000;

/** After every text that begins with what is before it. */
const LAST_CHARACTER = "\u{10FFFF}";

/** A user who was found, under the wire's names. */
export type FoundUser = {
  readonly user_id: UserId;
  readonly display_name?: string;
  readonly avatar_url?: string;
};

/**
 * Searches for users by their ID and name: those who share a room with who searches, and those who are
 * in a room that anybody may join or look into, which who searches may be too.
 *
 * @param limit the most that are given.
 * @returns whole matches first; `limited` if there are more.
 * @spec client-server-api#user-directory
 */
export async function searchUserDirectory(
  hs: Homeserver,
  searcherKey: number,
  { term, limit }: { readonly term: string; readonly limit: number },
): Promise<{ results: FoundUser[]; limited: boolean }> {
  const words = searchWords(term);
  if (words.length === 0 || limit <= 0) return { results: [], limited: words.length > 0 };
  await catchUpDirectory(hs);
  const rows = await findUsers(hs, searcherKey, { words, limit: limit + 1 });
  const results = rows.slice(0, limit).flatMap((it) => asShown(it, words) ?? []);
  return { results, limited: rows.length > limit };
}

type FoundRow = {
  readonly user_id: UserId;
  readonly displayname: string | null;
  readonly avatar_url: string | null;
  /** Whether the name is one that only those know who are in some room with the user. */
  readonly is_closed: boolean;
  /** The user's member event in a room that the searcher is in, if the name is such a one. */
  readonly member: string | null;
};

async function findUsers(
  hs: Homeserver,
  searcherKey: number,
  { words, limit }: { readonly words: readonly string[]; readonly limit: number },
): Promise<readonly FoundRow[]> {
  return await hs.sql<FoundRow[]>`
    with found as (
      select user_key, count(distinct word.index) filter (where directory_words.word = word.text) as whole
      from unnest(${words}::text[]) with ordinality as word (text, index)
        join directory_words on directory_words.word ~>=~ word.text
          and directory_words.word ~<~ (word.text || ${LAST_CHARACTER})
      group by user_key having count(distinct word.index) = ${words.length}
      limit ${MOST_CANDIDATES}
    ), mine as materialized (
      select room_key from memberships where user_key = ${searcherKey} and membership = 'join'
    ), told as (
      select user_key, user_id, whole,
        case when local then profiles.displayname else remote_profiles.displayname end as displayname,
        case when local then profiles.avatar_url else remote_profiles.avatar_url end as avatar_url,
        not local and not coalesce(is_open, false) as is_closed
      from found join users using (user_key) left join profiles using (user_key)
        left join remote_profiles using (user_key)
      where exists (
        select 1 from memberships where user_key = found.user_key and membership = 'join' and (
          found.user_key <> ${searcherKey} and room_key in (select room_key from mine)
          or room_key in (select room_key from open_rooms)))
      order by whole desc, coalesce(profiles.displayname, remote_profiles.displayname) is null, user_id
      limit ${limit}
    )
    select user_id, displayname, avatar_url, is_closed, case when is_closed then (
        select json from memberships join events using (event_key)
        where memberships.user_key = told.user_key and membership = 'join'
          and memberships.room_key in (select room_key from mine)
        order by position desc limit 1) end as member
    from told order by whole desc, displayname is null, user_id`;
}

/**
 * A user as the searcher may know them. Where no open room says what a user of another server is called, each room that
 * they are in may call them something else: the searcher is told what those do that both are in, if it is that which they
 * have searched for.
 */
function asShown(row: FoundRow, words: readonly string[]): FoundUser | undefined {
  const { user_id } = row;
  const { displayname, avatar_url } = row.is_closed ? nameFor(row) : row;
  if (row.is_closed) {
    const theirs = wordsOfUser(user_id, displayname ?? undefined);
    const isMeant = words.every((word) => theirs.some((it) => it.startsWith(word)));
    if (!isMeant) return undefined;
  }
  return {
    user_id,
    ...(displayname !== null && { display_name: displayname }),
    ...(avatar_url !== null && { avatar_url }),
  };
}

function nameFor({ member }: FoundRow): Pick<FoundRow, "displayname" | "avatar_url"> {
  const { displayname, avatar_url } = (member === null ? undefined : nameInMember(member)) ?? {};
  return { displayname: displayname ?? null, avatar_url: avatar_url ?? null };
}
