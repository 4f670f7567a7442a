import type { Queryable } from "#src/homeserver/database.ts";
import type { RoomId } from "#src/kit/identifiers.ts";

export type MutualRoom = { readonly room_key: number; readonly room_id: RoomId };

/** Rooms that two users are both joined to, after one of them, and how many there are in all. */
export async function roomsOfBoth(
  db: Queryable,
  [one, other]: readonly [number, number],
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<{ readonly rooms: readonly MutualRoom[]; readonly count: number }> {
  const rows = await db<(MutualRoom & { count: number })[]>`
    with mutual as materialized (
      select room_key from memberships where user_key = ${one} and membership = 'join'
      intersect
      select room_key from memberships where user_key = ${other} and membership = 'join'
    )
    select room_key, room_id, count(*) over ()::int as count, room_key > ${after} as wanted
    from mutual join rooms using (room_key)
    order by wanted desc, room_key limit ${limit}`;
  return { rooms: rows.filter((it) => it.room_key > after), count: rows[0]?.count ?? 0 };
}
