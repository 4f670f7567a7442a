import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { uncount } from "../room-reads.ts";
import { NEVER_REDACTED } from "./removal.ts";

/** A place in a room's order. */
export type RoomPlace = { readonly anchor: number; readonly offset: number };

/** A user who was removed, whose events are redacted. */
export type RemovalRow = {
  readonly redactionKey: number;
  readonly roomKey: number;
  readonly target: UserId;
};

/** Notes that what users sent is to be redacted. */
export function noteRemovals(lane: Tx, rows: readonly RemovalRow[]): void {
  void lane`
    insert into sender_redactions (redaction_key, room_key, sender_key, position)
    select redaction_key, room_key, user_key, redaction_key from unnest(
      ${rows.map((it) => it.redactionKey)}::bigint[], ${rows.map((it) => it.roomKey)}::bigint[],
      ${rows.map((it) => it.target)}::text[]) as new (redaction_key, room_key, user_id)
    join users on users.user_id = new.user_id
    on conflict do nothing`;
}

/**
 * Notes that what users sent is to be redacted who were removed before their room was known here: nothing of it is, and all
 * that comes counts, as it is not known when they had come.
 */
export function noteEarlierRemovals(
  lane: Tx,
  rows: readonly {
    readonly eventKey: number;
    readonly roomKey: number;
    readonly userKey: number;
  }[],
): void {
  void lane`
    insert into sender_redactions (redaction_key, room_key, sender_key, since_anchor, down_anchor, done, position)
    select redaction_key, room_key, sender_key, -1, 0, true, 0 from unnest(
      ${rows.map((it) => it.eventKey)}::bigint[], ${rows.map((it) => it.roomKey)}::bigint[],
      ${rows.map((it) => it.userKey)}::bigint[]) as new (redaction_key, room_key, sender_key)
    on conflict do nothing`;
}

/** How far the redaction of what a user sent has come. */
export type Progress = {
  readonly redactionKey: number;
  readonly roomKey: number;
  readonly senderKey: number;
  /** Where their stay began, and down to where all is redacted; undefined until it was begun. */
  readonly begun: { readonly since: RoomPlace; readonly down: RoomPlace } | undefined;
};

type ProgressRow = {
  redaction_key: number;
  room_key: number;
  sender_key: number;
  since_anchor: number | null;
  since_offset: number;
  down_anchor: number | null;
  down_offset: number;
};

export async function unfinishedRedactions(sql: Queryable, limit: number): Promise<Progress[]> {
  const rows = await sql<ProgressRow[]>`
    select redaction_key, room_key, sender_key, since_anchor, since_offset, down_anchor, down_offset
    from sender_redactions where not done order by redaction_key limit ${limit}`;
  return rows.map((it) => ({
    redactionKey: it.redaction_key,
    roomKey: it.room_key,
    senderKey: it.sender_key,
    begun:
      it.since_anchor === null || it.down_anchor === null
        ? undefined
        : {
            since: { anchor: it.since_anchor, offset: it.since_offset },
            down: { anchor: it.down_anchor, offset: it.down_offset },
          },
  }));
}

/** What was found of what a user sent, and down to where was looked; undefined if there is no more. */
export type Found = { readonly eventKeys: readonly number[]; readonly down: RoomPlace | undefined };

/** Looks through the next events of a room, newest first, for those of a user that are not redacted. */
export async function findUnredacted(
  sql: Queryable,
  { roomKey, senderKey }: Pick<Progress, "roomKey" | "senderKey">,
  { since, down }: { readonly since: RoomPlace; readonly down: RoomPlace },
  limit: number,
): Promise<Found> {
  const [row] = await sql<
    { looked: number; keys: number[] | null; anchor: number | null; anchor_offset: number | null }[]
  >`
    with looked as (
      select event_key, type, state_key, sender_key, redacted_by, anchor, anchor_offset from events
      where room_key = ${roomKey} and (anchor, anchor_offset) < (${down.anchor}, ${down.offset})
        and (anchor, anchor_offset) > (${since.anchor}, ${since.offset})
      order by anchor desc, anchor_offset desc limit ${limit}
    )
    select count(*)::int as looked,
      array_agg(event_key) filter (where sender_key = ${senderKey} and redacted_by is null
        and (state_key is null or type <> all(${NEVER_REDACTED}::text[]))) as keys,
      (array_agg(anchor order by anchor, anchor_offset))[1] as anchor,
      (array_agg(anchor_offset order by anchor, anchor_offset))[1] as anchor_offset
    from looked`;
  const isEnd = !row || row.looked < limit || row.anchor === null;
  return {
    eventKeys: row?.keys ?? [],
    down: isEnd ? undefined : { anchor: row.anchor ?? 0, offset: row.anchor_offset ?? 0 },
  };
}

/** Where to begin, and at what position that was said. @returns whether it was not begun before. */
export async function beginRedaction(
  lane: Tx,
  {
    redactionKey,
    since,
    down,
    position,
  }: {
    readonly redactionKey: number;
    readonly since: RoomPlace;
    readonly down: RoomPlace;
    readonly position: number;
  },
): Promise<boolean> {
  const rows = await lane`
    update sender_redactions set since_anchor = ${since.anchor}, since_offset = ${since.offset},
      down_anchor = ${down.anchor}, down_offset = ${down.offset}, position = ${position}
    where redaction_key = ${redactionKey} and since_anchor is null
    returning redaction_key`;
  return rows.length > 0;
}

/** Redacts events, which relate to nothing any more then. Of what others did meanwhile nothing is taken back. */
export function redactFound(
  lane: Tx,
  {
    redactionKey,
    eventKeys,
    down,
    position,
  }: {
    readonly redactionKey: number;
    readonly eventKeys: readonly number[];
    /** Undefined if there is no more. */
    readonly down: RoomPlace | undefined;
    readonly position: number;
  },
): void {
  void lane`
    update events set redacted_by = ${redactionKey}
    where event_key = any(${eventKeys}::bigint[]) and redacted_by is null`;
  void lane`delete from relations where event_key = any(${eventKeys}::bigint[])`;
  uncount(lane, eventKeys);
  if (down) {
    void lane`
      update sender_redactions set position = ${position}, down_anchor = ${down.anchor}, down_offset = ${down.offset}
      where redaction_key = ${redactionKey}
        and (down_anchor, down_offset) > (${down.anchor}, ${down.offset})`;
  } else {
    void lane`
      update sender_redactions set position = ${position}, done = true
      where redaction_key = ${redactionKey}`;
  }
}

/** What of whom is redacted, as all processes hear of it. */
export type SenderRedaction = {
  readonly redactionKey: number;
  readonly roomKey: number;
  readonly senderKey: number;
  /** After the one place, and before the other. */
  readonly since: RoomPlace;
  readonly until: RoomPlace;
  readonly position: number;
};

/** Redactions of which a step was made in a range of positions. */
export async function redactionsBetween(
  sql: Queryable,
  after: number,
  upTo: number,
): Promise<SenderRedaction[]> {
  const rows = await sql<(ProgressRow & RemovedAt)[]>`
    select redaction_key, its.room_key, its.sender_key, since_anchor, since_offset, position,
      anchor, anchor_offset
    from sender_redactions as its join events on event_key = redaction_key
    where position > ${after} and position <= ${upTo} and since_anchor is not null`;
  return rows.map((it) => ({
    redactionKey: it.redaction_key,
    roomKey: it.room_key,
    senderKey: it.sender_key,
    since: { anchor: it.since_anchor ?? -1, offset: it.since_offset },
    until: { anchor: it.anchor ?? it.redaction_key, offset: it.anchor_offset },
    position: it.position,
  }));
}

type RemovedAt = { position: number; anchor: number | null; anchor_offset: number };

/**
 * Redacts those of some events that have just come whose senders are out of the room in such a way: of the past, those of
 * their last stay; and all that can be no part of the room since they are out of it.
 *
 * @returns by which member events, by the keys of what they redact.
 */
export async function redactLate(
  lane: Tx,
  eventKeys: readonly number[],
): Promise<ReadonlyMap<EventId, number>> {
  const rows = await lane<{ event_key: number; event_id: EventId; redacted_by: number }[]>`
    with redacted as (
      update events set redacted_by = its.redaction_key
      from sender_redactions as its
      join memberships on memberships.room_key = its.room_key
        and memberships.user_key = its.sender_key and memberships.event_key = its.redaction_key
      where events.event_key = any(${eventKeys}::bigint[]) and events.room_key = its.room_key
        and events.sender_key = its.sender_key and events.redacted_by is null
        and (state_key is null or type <> all(${NEVER_REDACTED}::text[]))
        and (events.status = 1 or (anchor, anchor_offset) > (since_anchor, since_offset))
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

/** Forgets redactions that are done, of users who have become something else. */
export async function forgetEndedRedactions(sql: Queryable): Promise<void> {
  await sql`
    delete from sender_redactions as its where done and not exists (
      select from memberships where memberships.room_key = its.room_key
        and memberships.user_key = its.sender_key and memberships.event_key = its.redaction_key)`;
}
