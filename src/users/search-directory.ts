import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { searchWords } from "./directory-words.ts";
import { catchUpDirectory } from "./follow-events.ts";

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
  const rows = await hs.sql<
    { user_id: UserId; displayname: string | null; avatar_url: string | null }[]
  >`
    with found as (
      select user_key, count(distinct word.index) filter (where directory_words.word = word.text) as whole
      from unnest(${words}::text[]) with ordinality as word (text, index)
        join directory_words on directory_words.word ~>=~ word.text
          and directory_words.word ~<~ (word.text || ${LAST_CHARACTER})
      group by user_key having count(distinct word.index) = ${words.length}
      limit ${MOST_CANDIDATES}
    )
    select user_id, case when local then profiles.displayname else remote_profiles.displayname end as displayname,
      case when local then profiles.avatar_url else remote_profiles.avatar_url end as avatar_url
    from found join users using (user_key) left join profiles using (user_key)
      left join remote_profiles using (user_key)
    where exists (
      select 1 from memberships where user_key = found.user_key and membership = 'join' and (
        found.user_key <> ${searcherKey} and room_key in (
          select room_key from memberships where user_key = ${searcherKey} and membership = 'join')
        or room_key in (select room_key from open_rooms)))
    order by whole desc, coalesce(profiles.displayname, remote_profiles.displayname) is null, user_id
    limit ${limit + 1}`;
  const results = rows.slice(0, limit).map((row) => ({
    user_id: row.user_id,
    ...(row.displayname !== null && { display_name: row.displayname }),
    ...(row.avatar_url !== null && { avatar_url: row.avatar_url }),
  }));
  return { results, limited: rows.length > limit };
}
