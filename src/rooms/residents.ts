import type { Queryable } from "#src/homeserver/database.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** The servers that somebody joined to a room is of, those of many first. */
export async function serversInRoom(db: Queryable, roomKey: number): Promise<ServerName[]> {
  const rows = await db<{ server: ServerName }[]>`
    select substring(user_id from position(':' in user_id) + 1) as server
    from memberships join users using (user_key)
    where room_key = ${roomKey} and membership = 'join'
    group by server order by count(*) desc, server`;
  return rows.map((it) => it.server);
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
    select case
      when exists (select from memberships
        where room_key = ${roomKey} and membership = 'join' and local) then true
      when exists (select from memberships
        where room_key = ${roomKey} and membership = 'join') then false
      else state_root <> 0 end as here
    from rooms where room_key = ${roomKey}`;
  return row?.here ?? false;
}
