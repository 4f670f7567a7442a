import { MAX_DEPTH } from "#src/events/size-limits.ts";
import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { arrayText } from "../queries-persist.ts";
import { uncount } from "../room-reads.ts";
import { type EventRow, EventStatus } from "../stored-event.ts";

// What received events write beside what all events write. Statements are answered with the commit.

/** What was stored before some events came, and has to do with them. */
export type Coming = {
  /** Those of them that are stored already. */
  readonly stored: ReadonlySet<EventId>;
  /** Events to which one of these was missing. */
  readonly missed: readonly MissedRow[];
  /** Whether there are redactions of these. */
  readonly isRedacted: boolean;
  /** Whether what somebody sent to the room is redacted since they were removed from it. */
  readonly isOfRemoved: boolean;
};

/** What waits for events that have come. */
export type Waiting = Pick<Coming, "isRedacted" | "isOfRemoved"> & {
  /** Those that accepted events follow, with the keys of these. */
  readonly followed: ReadonlyMap<EventId, readonly number[]>;
  /** Keys of events that have no place until one of these comes. */
  readonly outliers: readonly number[];
  /** Whether any event names one of these that was missing. */
  readonly isMissed: boolean;
};

/** What is stored of some events that come to a room, and what has to do with them: all of it by one query. */
export async function whatAwaits(
  db: Queryable,
  roomKey: number,
  come: readonly EventId[],
): Promise<Coming> {
  const rows = await db<ComingRow[]>`
    select 'stored' as kind, event_id as id, null::bigint as event_key, null::smallint as status,
      null::bool as unplaced
    from events where event_id = any(${come}::text[])
    union all
    select 'missed', missing_id, event_key, status, anchor is null
    from missing_events join events using (event_key)
    where missing_id = any(${come}::text[]) and missing_events.room_key = ${roomKey}
    union all
    select 'redacted', target, null, null, null from waiting_redactions where target = any(${come}::text[])
    union all
    select 'removed', null, null, null, null
    where exists (select from sender_redactions where room_key = ${roomKey})`;
  return {
    stored: new Set(rows.flatMap((it) => (it.kind === "stored" ? [it.id] : []))),
    missed: rows.filter((it) => it.kind === "missed"),
    isRedacted: rows.some((it) => it.kind === "redacted"),
    isOfRemoved: rows.some((it) => it.kind === "removed"),
  };
}

/** What waits for events of which some have got their places: for the others nothing can come yet but redactions. */
export function waitingFor(
  { missed, isRedacted, isOfRemoved }: Coming,
  placed: ReadonlySet<EventId>,
): Waiting {
  const its = missed.filter((it) => placed.has(it.id));
  const followers = Map.groupBy(its.filter(isPart), (it) => it.id);
  return {
    followed: new Map([...followers].map(([id, all]) => [id, all.map((it) => it.event_key)])),
    outliers: [...new Set(its.flatMap((it) => (it.unplaced ? [it.event_key] : [])))],
    isMissed: its.length > 0,
    isRedacted,
    isOfRemoved,
  };
}

function isPart({ status }: MissedRow): boolean {
  return status === EventStatus.accepted || status === EventStatus.untold;
}

/** An event to which another was missing, of that one's ID. */
type MissedRow = {
  readonly kind: "missed";
  readonly id: EventId;
  readonly event_key: number;
  readonly status: number;
  readonly unplaced: boolean;
};
type ComingRow =
  | MissedRow
  | { readonly kind: "stored" | "redacted"; readonly id: EventId }
  | { readonly kind: "removed" };

/** Those of some events that are stored, each with its anchor if it has a place. */
export async function placesOf(
  db: Queryable,
  eventIds: readonly EventId[],
): Promise<ReadonlyMap<EventId, number | null>> {
  const rows = await db<{ event_id: EventId; anchor: number | null }[]>`
    select event_id, anchor from events where event_id = any(${eventIds}::text[])`;
  return new Map(rows.map((it) => [it.event_id, it.anchor]));
}

/** Gives outliers the places in their rooms that they have got, if any. @param positions when, for each. */
export function placeOutliers(
  lane: Tx,
  rows: readonly EventRow[],
  positions: readonly (number | null)[],
): void {
  const column = <K extends keyof EventRow>(name: K) => rows.map((row) => row[name]);
  void lane`
    update events set status = placed.status, anchor = placed.anchor,
      anchor_offset = placed.anchor_offset, state_before = placed.state_before,
      state_after = placed.state_after, room_state = placed.room_state, ordinal = placed.ordinal,
      replaces = placed.replaces, placed_at = placed.placed_at,
      auth_keys = placed.auth_keys::bigint[]
    from unnest(${column("event_key")}::bigint[], ${column("status")}::smallint[],
      ${column("anchor")}::bigint[], ${column("anchor_offset")}::int[],
      ${column("state_before")}::bigint[], ${column("state_after")}::bigint[],
      ${column("room_state")}::bigint[], ${column("ordinal")}::bigint[],
      ${column("replaces")}::bigint[], ${positions}::bigint[],
      ${rows.map((row) => row.auth_keys && arrayText(row.auth_keys))}::text[])
      as placed (event_key, status, anchor, anchor_offset, state_before, state_after, room_state,
        ordinal, replaces, placed_at, auth_keys)
    where events.event_key = placed.event_key`;
}

/**
 * Notes that this server has come to a room, and from which depth on it is in it. Where that is the greatest that there
 * is, no event that comes later has a greater one: then depth says nothing of what is from before.
 */
export function noteComing(lane: Tx, roomKey: number, depth: number): void {
  const cameDepth = depth < MAX_DEPTH ? depth : 0;
  void lane`update rooms set came_depth = ${cameDepth} where room_key = ${roomKey}`;
}

/** Notes of events whether other servers hear of them from us. */
export function markRelayed(lane: Tx, eventKeys: readonly number[], isRelayed: boolean): void {
  void lane`
    update events set relayed = ${isRelayed} where event_key = any(${eventKeys}::bigint[])`;
}

/**
 * Applies redactions that came before what they redact. From now on they are shown, and those that go by when events
 * became part of a room's end find them.
 *
 * @param come the events that have come.
 * @param position when.
 * @returns the keys of the redactions that took effect, by the IDs of what they redact.
 * @spec rooms/v3#handling-redactions
 */
export async function applyWaitingRedactions(
  lane: Tx,
  come: readonly EventId[],
  position: Position,
): Promise<ReadonlyMap<EventId, number>> {
  const rows = await lane<{ event_key: number; event_id: EventId; redacted_by: number }[]>`
    with due as (
      delete from waiting_redactions where target = any(${come}::text[]) returning *
    ), able as (
      select due.* from due
      join events on event_id = target and events.room_key = due.room_key
      join users on users.user_key = events.sender_key
      where anyone or substring(users.user_id from position(':' in users.user_id) + 1) = domain
    ), told as (
      update events set status = ${EventStatus.accepted},
        placed_at = case when anchor_offset = 0 then ${position}::bigint else placed_at end
      from able where events.event_key = able.redaction_key and events.status = ${EventStatus.untold}
    ), first as (
      select distinct on (target) able.* from able order by target, redaction_key
    ), redacted as (
      update events set redacted_by = first.redaction_key from first
      where events.event_id = first.target and events.redacted_by is null
      returning events.event_key, events.event_id, events.redacted_by
    ), unrelated as (
      delete from relations using redacted where relations.event_key = redacted.event_key
    )
    select event_key, event_id, redacted_by from redacted`;
  uncount(
    lane,
    rows.map((it) => it.event_key),
  );
  return new Map(rows.map((it) => [it.event_id, it.redacted_by]));
}

/**
 * Takes back what redactions have done that turn out to be no part of the room.
 *
 * @returns the IDs of the events that are redacted no more.
 */
export async function takeBackRedactions(
  lane: Tx,
  rows: readonly { readonly redactionKey: number; readonly target: EventId }[],
): Promise<readonly EventId[]> {
  const keys = rows.map((it) => it.redactionKey);
  const restored = await lane<{ event_id: EventId }[]>`
    with unkept as (
      delete from waiting_redactions
      where target = any(${rows.map((it) => it.target)}::text[])
        and redaction_key = any(${keys}::bigint[])
    )
    update events set redacted_by = null
    from unnest(${rows.map((it) => it.target)}::text[], ${keys}::bigint[])
      as undone (target, redaction_key)
    where events.event_id = undone.target and events.redacted_by = undone.redaction_key
    returning events.event_id`;
  return restored.map((it) => it.event_id);
}

/** Forgets what events refer to. */
export function forgetRelations(lane: Tx, eventKeys: readonly number[]): void {
  void lane`delete from relations where event_key = any(${eventKeys}::bigint[])`;
}

/** Where the live events stand that missing ones come before, by the IDs of those. */
export async function anchorsOfFollowers(
  db: Queryable,
  roomKey: number,
  eventIds: readonly EventId[],
): Promise<ReadonlyMap<EventId, number>> {
  const rows = await db<{ missing_id: EventId; anchor: number }[]>`
    select missing_id, min(anchor) as anchor from missing_events join events using (event_key)
    where missing_id = any(${eventIds}::text[]) and missing_events.room_key = ${roomKey}
      and anchor is not null
    group by missing_id`;
  return new Map(rows.map((it) => [it.missing_id, it.anchor]));
}

/** What is before a live event: the least offset that an event has there, and how many events had counted as unread. */
export type Before = { readonly leastOffset: number; readonly ordinal: number };

/** What is before the live events at some anchors of a room. */
export async function beforeAnchors(
  db: Queryable,
  roomKey: number,
  anchors: readonly number[],
): Promise<ReadonlyMap<number, Before>> {
  const rows = await db<(Before & { anchor: number })[]>`
    select asked.anchor,
      (select coalesce(min(anchor_offset), 0) from events
        where room_key = ${roomKey} and events.anchor = asked.anchor) as "leastOffset",
      coalesce((select ordinal from events
        where room_key = ${roomKey} and events.anchor < asked.anchor and anchor_offset = 0
        order by events.anchor desc limit 1), 0) as ordinal
    from unnest(${anchors}::bigint[]) as asked (anchor)`;
  return new Map(rows.map((it) => [it.anchor, it]));
}

/** Takes back what was told to those who were invited to a room from outside: it has its own state now. */
export function forgetInvites(lane: Tx, roomKey: number): void {
  void lane`delete from received_invites where room_key = ${roomKey}`;
}
