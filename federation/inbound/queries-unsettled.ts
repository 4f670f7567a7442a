import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { ReceivedEvent } from "#src/rooms/received/received-event.ts";

/** The most events of one server that are kept in one room. A server that means well has none or few. */
const MOST_KEPT = 1_000;

/** When an event is tried again at first, and after many times. */
const FIRST_RETRY_MS = 10_000;
const LAST_RETRY_MS = 6 * 60 * 60 * 1000;

/** Keeps events to be tried again. @returns those that are kept. */
export async function keepUnsettled(
  hs: Homeserver,
  { roomKey }: Room,
  origin: ServerName,
  events: readonly Pick<ReceivedEvent, "event" | "json">[],
): Promise<ReadonlySet<EventId>> {
  const ids = events.map((it) => it.event.event_id);
  const now = hs.now();
  await hs.sql`
    insert into unsettled_pdus (event_id, room_key, origin, json, received_ms, due_ms)
    select id, ${roomKey}, ${origin}, json, ${now}, ${now + FIRST_RETRY_MS}
    from unnest(${ids}::text[], ${events.map((it) => it.json)}::text[]) as new (id, json)
    where (
      select count(*) from unsettled_pdus where room_key = ${roomKey} and origin = ${origin}
    ) < ${MOST_KEPT}
    on conflict do nothing`;
  const rows = await hs.sql<{ event_id: EventId }[]>`
    select event_id from unsettled_pdus
    where room_key = ${roomKey} and origin = ${origin} and event_id = any(${ids}::text[])`;
  return new Set(rows.map((it) => it.event_id));
}

export async function roomsWithUnsettled(hs: Homeserver, most: number): Promise<readonly number[]> {
  const rows = await hs.sql<{ room_key: number }[]>`
    select room_key from unsettled_pdus where due_ms <= ${hs.now()}
    group by room_key order by min(due_ms) limit ${most}`;
  return rows.map((it) => it.room_key);
}

export type Unsettled = {
  readonly eventId: EventId;
  readonly origin: ServerName;
  readonly json: string;
  readonly receivedMs: UnixMs;
};

/** Takes events of a room that are due in hand, in the order in which they came. */
export async function claimUnsettled(
  hs: Homeserver,
  roomKey: number,
  most: number,
): Promise<readonly Unsettled[]> {
  const now = hs.now();
  const rows = await hs.sql<Unsettled[]>`
    update unsettled_pdus set failures = failures + 1,
      due_ms = ${now} + least(${FIRST_RETRY_MS} * 2 ^ least(failures + 1, 20), ${LAST_RETRY_MS})::bigint
    where room_key = ${roomKey} and (origin, event_id) in (
      select origin, event_id from unsettled_pdus where room_key = ${roomKey} and due_ms <= ${now}
      order by received_ms limit ${most})
    returning event_id as "eventId", origin, json, received_ms as "receivedMs"`;
  return rows.toSorted((a, b) => a.receivedMs - b.receivedMs);
}

export async function forgetUnsettled(
  hs: Homeserver,
  roomKey: number,
  events: readonly Pick<Unsettled, "eventId" | "origin">[],
): Promise<void> {
  if (events.length === 0) return;
  await hs.sql`
    delete from unsettled_pdus where room_key = ${roomKey} and (origin, event_id) in (
      select * from unnest(
        ${events.map((it) => it.origin)}::text[], ${events.map((it) => it.eventId)}::text[]))`;
}
