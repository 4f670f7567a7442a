import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** What a member is about to become. */
type Moving = {
  readonly userKey: number;
  readonly roomKey: number;
  readonly membership: string;
  readonly eventKey: number;
  readonly position?: Position;
  readonly server: ServerName | undefined;
};

/**
 * Records which other servers come to rooms and go, by what their users are about to become: to be sent
 * before that is stored. At most one row for a user and a room.
 *
 * A server that is not in the room is owed nothing of it but one thing: that the invitation or the knock of
 * one of its users has come to nothing.
 */
export function moveRoomServers(lane: Tx, rows: readonly Moving[]): void {
  const others = rows.flatMap((it) =>
    it.server === undefined ? [] : [{ ...it, server: it.server }],
  );
  if (others.length === 0) return;
  void lane`
    with new as (
      select new.*, old.membership as before
      from unnest(${others.map((it) => it.userKey)}::bigint[], ${others.map((it) => it.roomKey)}::bigint[],
        ${others.map((it) => it.membership)}::text[], ${others.map((it) => it.server)}::text[],
        ${others.map((it) => it.position ?? it.eventKey)}::bigint[])
        as new (user_key, room_key, membership, server_name, position)
      left join memberships as old using (user_key, room_key)
    ), moved as (
      select room_key, server_name,
        sum((membership = 'join')::int - (before is not distinct from 'join')::int)::int as more,
        min(position) filter (where membership = 'join' and before is distinct from 'join') as came,
        max(position) filter (where membership <> 'join' and before = 'join') as went
      from new group by room_key, server_name
    ), known as (
      select moved.*, joined, more < 0 and joined + more <= 0 and not exists (
        -- Others of its users are said to be there, of whom we do not know yet.
        select from partial_rooms
        where partial_rooms.room_key = moved.room_key and moved.server_name = any(servers)) as goes
      from moved left join room_servers on room_servers.room_key = moved.room_key
        and room_servers.server_name = moved.server_name and until is null
    ), counted as (
      update room_servers set joined = room_servers.joined + more, until = case when goes then went end
      from known
      where room_servers.room_key = known.room_key and room_servers.server_name = known.server_name
        and until is null and more <> 0
    ), told as (
      insert into room_servers (room_key, server_name, since, until, joined)
      select room_key, server_name, position - 1, position, 0 from new join known using (room_key, server_name)
      where membership in ('leave', 'ban') and before in ('invite', 'knock')
        and case when joined is not null then goes and went < position
          else more <= 0 or position < came end
      on conflict do nothing
    )
    insert into room_servers (room_key, server_name, since, joined)
    select room_key, server_name, came, more from known where joined is null and more > 0
    on conflict do nothing`;
}

/** That a server is or was in a room. */
export type RoomServer = {
  readonly serverName: ServerName;
  readonly since: Position;
  /** Undefined if it is there now. */
  readonly until: Position | undefined;
};

export async function serversOfRooms(
  db: Queryable,
  roomKeys: readonly number[],
): Promise<Map<number, RoomServer[]>> {
  const rows = await db<
    { room_key: number; server_name: ServerName; since: Position; until: Position | null }[]
  >`
    select room_key, server_name, since, until from room_servers
    where room_key = any(${roomKeys}::bigint[])`;
  const found = new Map<number, RoomServer[]>(roomKeys.map((it) => [it, []]));
  for (const { room_key, server_name, since, until } of rows) {
    found.get(room_key)?.push({ serverName: server_name, since, until: until ?? undefined });
  }
  return found;
}

/** The rooms to which servers came, or from which they went, in a range of positions. */
export async function roomsWithServersMoved(
  db: Queryable,
  after: Position,
  upTo: Position,
): Promise<{ roomKey: number; position: Position }[]> {
  return await db<{ roomKey: number; position: Position }[]>`
    select room_key as "roomKey", max(position) as position from (
      select room_key, since as position from room_servers where since > ${after} and since <= ${upTo}
      union all
      select room_key, until from room_servers where until > ${after} and until <= ${upTo}
    ) as moved group by room_key`;
}
