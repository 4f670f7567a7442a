import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/**
 * Of how many events of a user, and of all users of another server, clients of a room are told at a time, and how many
 * are kept: all in the room are told of them, whatever else is said there.
 */
const OF_USER = { told: 100, kept: 500 };
const OF_SERVER = { told: 2_000, kept: 5_000 };

/** An event that is to be told to all for a while. */
export type StickyRow = {
  readonly eventKey: number;
  readonly roomKey: number;
  readonly senderKey: number;
  readonly untilMs: UnixMs;
  /** When clients are told. */
  readonly toldAt: Position;
};

/** Keeps what users of ours have said, of whom it is seen before that they have not too many. */
export function insertSticky(lane: Tx, rows: readonly StickyRow[]): void {
  void lane`
    insert into sticky_events (event_key, room_key, sender_key, until_ms, told_at)
    select unnest(${rows.map((it) => it.eventKey)}::bigint[]),
      unnest(${rows.map((it) => it.roomKey)}::bigint[]), unnest(${rows.map((it) => it.senderKey)}::bigint[]),
      unnest(${rows.map((it) => it.untilMs)}::bigint[]), unnest(${rows.map((it) => it.toldAt)}::bigint[])
    on conflict do nothing`;
}

/** One that came from elsewhere: clients are not told of it yet if the room's state does not let its sender say it. */
export type ReceivedStickyRow = Omit<StickyRow, "toldAt"> & {
  readonly toldAt: Position | null;
  readonly serverName: ServerName | null;
};

/**
 * Keeps what others have said. Of what is too much of a user, or of a server, clients are told later, once there is less
 * of theirs; and what is far too much is not kept.
 */
export function insertReceivedSticky(
  lane: Tx,
  rows: readonly ReceivedStickyRow[],
  nowMs: UnixMs,
): void {
  void lane`
    with new as (
      select *, row_number() over (partition by room_key, sender_key order by event_key) as of_user,
        row_number() over (partition by room_key, server_name order by event_key) as of_server
      from unnest(
        ${rows.map((it) => it.eventKey)}::bigint[], ${rows.map((it) => it.roomKey)}::bigint[],
        ${rows.map((it) => it.senderKey)}::bigint[], ${rows.map((it) => it.serverName)}::text[],
        ${rows.map((it) => it.untilMs)}::bigint[], ${rows.map((it) => it.toldAt)}::bigint[])
        as new (event_key, room_key, sender_key, server_name, until_ms, told_at)
    ), users as (
      select new.room_key, new.sender_key, count(old.event_key) as kept, count(old.told_at) as told
      from (select distinct room_key, server_name, sender_key from new) as new
      left join sticky_events as old using (room_key, server_name, sender_key)
      where old.until_ms is null or old.until_ms > ${nowMs}
      group by new.room_key, new.sender_key
    ), servers as (
      select new.room_key, new.server_name, count(old.event_key) as kept, count(old.told_at) as told
      from (select distinct room_key, server_name from new) as new
      left join sticky_events as old using (room_key, server_name)
      where old.until_ms is null or old.until_ms > ${nowMs}
      group by new.room_key, new.server_name
    )
    insert into sticky_events (event_key, room_key, sender_key, server_name, until_ms, told_at)
    select event_key, new.room_key, new.sender_key, new.server_name, until_ms,
      case when of_user + coalesce(users.told, 0) <= ${OF_USER.told}
        and of_server + coalesce(servers.told, 0) <= ${OF_SERVER.told} then told_at end
    from new left join users using (room_key, sender_key) left join servers using (room_key, server_name)
    where of_user + coalesce(users.kept, 0) <= ${OF_USER.kept}
      and of_server + coalesce(servers.kept, 0) <= ${OF_SERVER.kept}
    on conflict do nothing`;
}

export async function roomsWithSticky(sql: Queryable): Promise<number[]> {
  const rows = await sql<{ room_key: number }[]>`select distinct room_key from sticky_events`;
  return rows.map((it) => it.room_key);
}

export async function stickyOfRoom(sql: Queryable, roomKey: number): Promise<StickyRow[]> {
  return await sql<StickyRow[]>`
    select event_key as "eventKey", room_key as "roomKey", sender_key as "senderKey",
      until_ms as "untilMs", told_at as "toldAt"
    from sticky_events where room_key = ${roomKey} and told_at is not null order by told_at`;
}

/** Those that clients are not told of yet, and may be as far as their number goes; of one room, or of all. */
export async function heldBack(
  sql: Queryable,
  roomKey: number | null,
  { nowMs, limit }: { readonly nowMs: UnixMs; readonly limit: number },
): Promise<{ eventKey: number; roomKey: number }[]> {
  return await sql<{ eventKey: number; roomKey: number }[]>`
    with ranked as (
      select event_key, room_key, server_name, told_at,
        row_number() over (partition by room_key, sender_key order by told_at, event_key) as of_user,
        row_number() over (partition by room_key, server_name order by told_at, event_key) as of_server
      from sticky_events
      where until_ms > ${nowMs} and room_key = coalesce(${roomKey}, room_key)
    )
    select event_key as "eventKey", room_key as "roomKey" from ranked
    where told_at is null and of_user <= ${OF_USER.told}
      and (server_name is null or of_server <= ${OF_SERVER.told})
    order by event_key limit ${limit}`;
}

export type StickyOwed = { readonly serverName: ServerName; readonly eventKey: number };

/** What users of ours said before servers came to the room, and that these have not been sent. */
export async function notYetOwed(
  sql: Queryable,
  roomKey: number | null,
  { nowMs, limit }: { readonly nowMs: UnixMs; readonly limit: number },
): Promise<StickyOwed[]> {
  return await sql<StickyOwed[]>`
    select room_servers.server_name as "serverName", its.event_key as "eventKey"
    from sticky_events as its join users on users.user_key = its.sender_key and users.local
    join room_servers on room_servers.room_key = its.room_key and until is null
      and since >= its.event_key
    where its.room_key = coalesce(${roomKey}, its.room_key) and told_at is not null
      and until_ms > ${nowMs} and not exists (
        select from sticky_owed
        where sticky_owed.server_name = room_servers.server_name
          and sticky_owed.event_key = its.event_key)
    order by its.event_key limit ${limit}`;
}

/** Has clients told of events, in order from a position on. @returns at which they are of those of which they were not before. */
export async function tellSticky(
  lane: Tx,
  eventKeys: readonly number[],
  position: Position,
): Promise<Position[]> {
  const rows = await lane<{ told_at: Position }[]>`
    update sticky_events set told_at = ${position}::bigint + new.index - 1
    from unnest(${eventKeys}::bigint[]) with ordinality as new (event_key, index)
    where sticky_events.event_key = new.event_key and told_at is null returning told_at`;
  return rows.map((it) => it.told_at);
}

/** Has servers sent events, in order from a position on. */
export function oweSticky(lane: Tx, owed: readonly (StickyOwed & { position: Position })[]): void {
  void lane`
    insert into sticky_owed (server_name, event_key, position)
    select new.* from unnest(${owed.map((it) => it.serverName)}::text[],
      ${owed.map((it) => it.eventKey)}::bigint[], ${owed.map((it) => it.position)}::bigint[])
      as new (server_name, event_key, position)
    join sticky_events using (event_key)
    on conflict do nothing`;
}

export type StickyChange = {
  readonly position: Position;
  /** The room in which clients are told; null of what a server is owed. */
  readonly roomKey: number | null;
  readonly serverName: ServerName | null;
};

export async function stickyBetween(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<StickyChange[]> {
  return await sql<StickyChange[]>`
    select told_at as position, room_key as "roomKey", null as "serverName" from sticky_events
    where told_at > ${after} and told_at <= ${upTo} and told_at <> event_key
    union all
    select position, null, server_name from sticky_owed
    where position > ${after} and position <= ${upTo}`;
}

/** Forgets those whose time is over. */
export async function forgetOver(sql: Queryable, nowMs: UnixMs): Promise<void> {
  await sql`delete from sticky_events where until_ms <= ${nowMs}`;
  await sql`
    delete from sticky_owed where not exists (
      select from sticky_events where sticky_events.event_key = sticky_owed.event_key)`;
}
