import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** An event that is to be told to all for a while. */
export type StickyRow = {
  readonly eventKey: number;
  readonly roomKey: number;
  readonly senderKey: number;
  readonly untilMs: UnixMs;
  /** When clients are told; null while the room's state does not let its sender say it. */
  readonly toldAt: Position | null;
};

export function insertSticky(lane: Tx, rows: readonly StickyRow[]): void {
  void lane`
    insert into sticky_events (event_key, room_key, sender_key, until_ms, told_at)
    select * from unnest(
      ${rows.map((it) => it.eventKey)}::bigint[], ${rows.map((it) => it.roomKey)}::bigint[],
      ${rows.map((it) => it.senderKey)}::bigint[], ${rows.map((it) => it.untilMs)}::bigint[],
      ${rows.map((it) => it.toldAt)}::bigint[])
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
    from sticky_events where room_key = ${roomKey} order by told_at, event_key`;
}

/** Those that clients are not told of yet; of one room, or of all. */
export async function heldBack(
  sql: Queryable,
  roomKey: number | null,
  nowMs: UnixMs,
): Promise<{ eventKey: number; roomKey: number }[]> {
  return await sql<{ eventKey: number; roomKey: number }[]>`
    select event_key as "eventKey", room_key as "roomKey" from sticky_events
    where told_at is null and until_ms > ${nowMs} and room_key = coalesce(${roomKey}, room_key)`;
}

export type StickyOwed = { readonly serverName: ServerName; readonly eventKey: number };

/** What users of ours said before servers came to the room, and that these have not been sent. */
export async function notYetOwed(
  sql: Queryable,
  roomKey: number | null,
  { nowMs, limit }: { readonly nowMs: UnixMs; readonly limit: number },
): Promise<StickyOwed[]> {
  return await sql<StickyOwed[]>`
    select server_name as "serverName", its.event_key as "eventKey"
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

/** Has clients told of events. @returns those of which they were not before. */
export async function tellSticky(
  lane: Tx,
  eventKeys: readonly number[],
  position: Position,
): Promise<number[]> {
  const rows = await lane<{ event_key: number }[]>`
    update sticky_events set told_at = ${position}
    where event_key = any(${eventKeys}::bigint[]) and told_at is null returning event_key`;
  return rows.map((it) => it.event_key);
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
