import type { Queryable } from "#src/homeserver/database.ts";
import type { RoomId } from "#src/kit/identifiers.ts";

type Row = { room_key: number; room_id: RoomId; version: string; state_root: number };

/**
 * The rooms that the directory lists for a network, or for any if that is null, and that somebody of this server is
 * in: of others we know no more how they are.
 */
export async function publishedRooms(sql: Queryable, network: string | null): Promise<Row[]> {
  return await sql<Row[]>`
    select room_key, room_id, version, state_root
    from rooms
    where room_key in (
      select room_key from published_rooms where network = coalesce(${network}, network))
    and exists (
      select from memberships
      where memberships.room_key = rooms.room_key and membership = 'join' and local offset 0)`;
}

export async function isPublished(sql: Queryable, roomKey: number): Promise<boolean> {
  const rows = await sql`select from published_rooms where room_key = ${roomKey} and network = ''`;
  return rows.length > 0;
}

export async function publishedOf(sql: Queryable, roomKeys: readonly number[]): Promise<number[]> {
  const rows = await sql<{ room_key: number }[]>`
    select room_key from published_rooms
    where room_key = any(${roomKeys}::bigint[]) and network = ''`;
  return rows.map((it) => it.room_key);
}

export async function unpublish(sql: Queryable, roomKey: number, network = ""): Promise<void> {
  await sql`delete from published_rooms where room_key = ${roomKey} and network = ${network}`;
}
