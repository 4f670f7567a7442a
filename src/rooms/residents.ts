import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/**
 * The servers that somebody joined to a room is of: this one, if it is one of them, and then those of many first.
 *
 * @param before leaves out other servers that came at this position or later.
 */
export async function serversInRoom(
  hs: Homeserver,
  roomKey: number,
  before?: Position,
): Promise<ServerName[]> {
  const [others, isOurs] = await Promise.all([
    hs.sql<{ server_name: ServerName }[]>`
      select server_name from room_servers where room_key = ${roomKey} and until is null
        ${before === undefined ? hs.sql`` : hs.sql`and since < ${before}`}
      order by joined desc, server_name`,
    isResident(hs.sql, roomKey),
  ]);
  return [...(isOurs ? [hs.name] : []), ...others.map((it) => it.server_name)];
}

/** Whether somebody of this server is joined to a room: only then are we told what happens in it. */
export async function isResident(db: Queryable, roomKey: number): Promise<boolean> {
  const rows = await db`
    select from memberships
    where room_key = ${roomKey} and membership = 'join' and local limit 1`;
  return rows.length > 0;
}

/**
 * Whether what we know of a room is how it is, so that users of this server can enter it without asking
 * anybody: we are in it, or nobody is any more.
 */
export async function isRoomHere(db: Queryable, roomKey: number): Promise<boolean> {
  const [row] = await db<{ here: boolean }[]>`
    select exists (select from memberships
        where room_key = ${roomKey} and membership = 'join' and local)
      or state_root <> 0 and not exists (select from room_servers
        where room_key = ${roomKey} and until is null) as here
    from rooms where room_key = ${roomKey}`;
  return row?.here ?? false;
}
