import type { Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { EventId } from "#src/kit/identifiers.ts";

// What events are missing before those that a room has. Statements are answered with the commit.

export type MissingRow = {
  readonly roomKey: number;
  readonly missingId: EventId;
  readonly eventKey: number;
  readonly depth: number;
  /** Whether the event has no place before the missing one comes. */
  readonly waits: boolean;
};

/**
 * Records which events are still missing. What is missing before an event that came as news is owed to the room,
 * unless it is from before this server came to it; and what is missing before what was owed is owed too.
 */
export function noteMissing(
  lane: Tx,
  roomKey: number,
  {
    come,
    missing,
    isNews,
  }: { come: readonly EventId[]; missing: readonly MissingRow[]; isNews: boolean },
): void {
  if (missing.length === 0) return;
  void lane`
    with closed as (
      select owed from missing_events where missing_id = any(${come}::text[]) and room_key = ${roomKey}
    )
    insert into missing_events (room_key, missing_id, event_key, owed)
    select room_key, missing_id, event_key,
      waits = 1 or (event_depth > came_depth and (${isNews}::bool or exists (select from closed where owed)))
    from unnest(${missing.map((it) => it.roomKey)}::bigint[],
      ${missing.map((it) => it.missingId)}::text[], ${missing.map((it) => it.eventKey)}::bigint[],
      ${missing.map((it) => it.depth)}::bigint[], ${missing.map((it) => Number(it.waits))}::int[])
      as new (room_key, missing_id, event_key, event_depth, waits)
    join rooms using (room_key)
    on conflict do nothing`;
}

/**
 * Records that missing events have come. Those that wait for them are still to be taken in: whoever has stored what they
 * waited for does so at once, or, should that process end before, the job that fills holes.
 *
 * @param dueMs when the job does.
 */
export function noteCome(
  lane: Tx,
  roomKey: number,
  { come, dueMs }: { come: readonly EventId[]; dueMs: UnixMs },
): void {
  if (come.length === 0) return;
  void lane`
    with gone as (
      delete from missing_events using events
      where missing_id = any(${come}::text[]) and missing_events.room_key = ${roomKey}
        and events.event_key = missing_events.event_key and anchor is not null
    )
    update missing_events set failures = 0, due_ms = ${dueMs} from events
    where missing_id = any(${come}::text[]) and missing_events.room_key = ${roomKey}
      and events.event_key = missing_events.event_key and anchor is null`;
}

/** Records that events that had waited wait no more for some of those that were missing before them. */
export function noteTakenIn(
  lane: Tx,
  filled: readonly Pick<MissingRow, "missingId" | "eventKey">[],
): void {
  if (filled.length === 0) return;
  void lane`
    delete from missing_events
    using unnest(${filled.map((it) => it.missingId)}::text[],
      ${filled.map((it) => it.eventKey)}::bigint[]) as filled (missing_id, event_key)
    where missing_events.missing_id = filled.missing_id
      and missing_events.event_key = filled.event_key`;
}
