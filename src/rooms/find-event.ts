import { LRUCache } from "lru-cache";
import type { Queryable } from "#src/homeserver/database.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import type { RoomPlace, SenderRedaction } from "./mass-redaction/queries-sender-redactions.ts";
import { NEVER_REDACTED } from "./mass-redaction/removal.ts";
import { eventsByIds, eventsByKeys } from "./queries-events.ts";
import { type EventRow, isUnsettled, StoredEvent } from "./stored-event.ts";

/** The most characters of JSON that the events in memory may have together. */
const MOST_CHARACTERS = 48_000_000;

/** For how long a row that was read before a redaction may come in after it. */
const REDACTED_LATELY_MS = 60_000;

/** How many of the events are known that were glimpsed: some hundreds of pages. */
const MOST_GLIMPSED = 32_768;

type Cache = {
  readonly byKey: LRUCache<number, StoredEvent>;
  readonly keys: LRUCache<EventId, number>;
  /** The targets of redactions that were heard of lately. */
  readonly redactedLately: LRUCache<EventId, true>;
  /** What users sent that is being redacted, or was lately, by room and sender. */
  readonly sendersLately: LRUCache<string, Omit<SenderRedaction, "position">>;
  /** The keys of what `glimpseEvents` read, each at its remainder: of two with the same one the later. */
  readonly glimpsed: Float64Array;
};

/**
 * An event changes only by being redacted, of which every process hears (see `heedRedaction`, `heedSenderRedaction`); by its
 * room's state becoming whole; and as a redaction by the coming of what it redacts. Until then it is not kept in memory.
 */
const cacheOf = held((): Cache => ({
  byKey: new LRUCache({
    maxSize: MOST_CHARACTERS,
    sizeCalculation: (event) => 600 + event.json.length,
  }),
  keys: lru(100_000),
  redactedLately: lru(10_000, { ttl: REDACTED_LATELY_MS }),
  sendersLately: lru(10_000, { ttl: REDACTED_LATELY_MS }),
  glimpsed: new Float64Array(MOST_GLIMPSED),
}));

/** Puts a row into memory, or gives the event that is there already. */
export function rememberEvent(hs: Homeserver, row: EventRow): StoredEvent {
  const cache = cacheOf(hs);
  const { byKey, keys, redactedLately } = cache;
  const known = byKey.get(row.event_key);
  if (known) {
    known.redactedBy = row.redacted_by ?? known.redactedBy;
    // An outlier may have got a place in the room since.
    if (known.anchor !== undefined || row.anchor === null) return known;
  }
  const event = eventOf(cache, row);
  if (isUnsettled(event)) {
    byKey.delete(event.eventKey);
    return event;
  }
  // Such a row may be older than the redaction. Nobody would ever correct it.
  if (row.redacted_by === null && redactedLately.has(event.eventId)) return event;
  byKey.set(event.eventKey, event);
  keys.set(event.eventId, event.eventKey);
  return event;
}

function eventOf({ sendersLately }: Cache, row: EventRow): StoredEvent {
  const event = new StoredEvent(row);
  if (sendersLately.size > 0) redactIfSenderWas(event, sendersLately.get(senderIn(event)));
  return event;
}

/** Puts an event into memory that has just been stored, unless it is there. */
export function rememberStored(hs: Homeserver, event: StoredEvent): void {
  const { byKey, keys } = cacheOf(hs);
  if (isUnsettled(event)) {
    byKey.delete(event.eventKey);
    return;
  }
  if (byKey.get(event.eventKey)?.anchor === event.anchor) return;
  byKey.set(event.eventKey, event);
  keys.set(event.eventId, event.eventKey);
}

/** Takes the target of a redaction out of memory, unless it is known as redacted. */
export function forgetUnredacted(hs: Homeserver, target: EventId): void {
  const { byKey, keys, redactedLately } = cacheOf(hs);
  redactedLately.set(target, true);
  const key = keys.peek(target);
  if (key !== undefined && byKey.peek(key)?.redactedBy === undefined) byKey.delete(key);
}

/** Marks an event in memory as redacted. */
export function heedRedaction(hs: Homeserver, redacted: EventId, redactionKey: number): void {
  const { byKey, keys, redactedLately } = cacheOf(hs);
  redactedLately.set(redacted, true);
  const key = keys.peek(redacted);
  const event = key === undefined ? undefined : byKey.peek(key);
  if (event) event.redactedBy = redactionKey;
}

/**
 * Marks the events in memory as redacted that a user sent who was removed from a room, and from now on those that are read.
 *
 * @param others events that may be remembered elsewhere.
 */
export function heedSenderRedaction(
  hs: Homeserver,
  redaction: Omit<SenderRedaction, "position">,
  others: Iterable<StoredEvent>,
): void {
  const { byKey, sendersLately } = cacheOf(hs);
  const which = senderIn(redaction);
  const isKnown = sendersLately.get(which)?.redactionKey === redaction.redactionKey;
  sendersLately.set(which, redaction);
  if (isKnown) return;
  for (const event of byKey.values()) redactIfSenderWas(event, redaction);
  for (const event of others) redactIfSenderWas(event, redaction);
}

function senderIn({ roomKey, senderKey }: { roomKey: number; senderKey: number }): string {
  return `${roomKey} ${senderKey}`;
}

function redactIfSenderWas(
  event: StoredEvent,
  redaction: Omit<SenderRedaction, "position"> | undefined,
): void {
  const { roomKey, senderKey, anchor, anchorOffset, redactedBy, type, stateKey } = event;
  if (!redaction || redactedBy !== undefined || anchor === undefined) return;
  if (redaction.roomKey !== roomKey || redaction.senderKey !== senderKey) return;
  if (stateKey !== undefined && NEVER_REDACTED.includes(type)) return;
  const place = { anchor, offset: anchorOffset };
  if (!isAfter(place, redaction.since) || !isAfter(redaction.until, place)) return;
  event.redactedBy = redaction.redactionKey;
}

function isAfter(a: RoomPlace, b: RoomPlace): boolean {
  return a.anchor > b.anchor || (a.anchor === b.anchor && a.offset > b.offset);
}

/**
 * Forgets all events of some rooms: those that came while not all of their members were known have been judged again,
 * and what of them redacts others may have become another.
 */
export function forgetEventsOf(hs: Homeserver, roomKeys: ReadonlySet<number>): void {
  const { byKey } = cacheOf(hs);
  for (const [key, event] of byKey.entries()) if (roomKeys.has(event.roomKey)) byKey.delete(key);
}

/** An event by its key, if it is in memory. */
export function eventInMemory(hs: Homeserver, eventKey: number): StoredEvent | undefined {
  return cacheOf(hs).byKey.get(eventKey);
}

/** An event of an ID, if it is in memory, and redacted. */
export function redactedInMemory(hs: Homeserver, eventId: EventId): StoredEvent | undefined {
  const { byKey, keys } = cacheOf(hs);
  const key = keys.peek(eventId);
  const event = key === undefined ? undefined : byKey.peek(key);
  return event?.redactedBy === undefined ? undefined : event;
}

/** Forgets all events in memory: redactions may have been missed. */
export function forgetEvents(hs: Homeserver): void {
  const { byKey, keys } = cacheOf(hs);
  byKey.clear();
  keys.clear();
}

/** An event by its ID, whatever became of it. */
export async function findEvent(
  hs: Homeserver,
  eventId: EventId,
): Promise<StoredEvent | undefined> {
  return (await findEvents(hs, [eventId])).get(eventId);
}

/**
 * Those events that are known, by their IDs.
 *
 * @param db where to ask: in a transaction that holds locks, that transaction.
 */
export async function findEvents(
  hs: Homeserver,
  eventIds: readonly EventId[],
  db: Queryable = hs.sql,
): Promise<Map<EventId, StoredEvent>> {
  const { byKey, keys } = cacheOf(hs);
  const found = new Map<EventId, StoredEvent>();
  const unknown: EventId[] = [];
  for (const id of new Set(eventIds)) {
    const key = keys.get(id);
    const event = key === undefined ? undefined : byKey.get(key);
    if (event) found.set(id, event);
    // What events say of others may be anything. The database cannot even be asked for a NUL, which none has.
    else if (!id.includes("\0")) unknown.push(id);
  }
  if (unknown.length > 0) {
    for (const row of await eventsByIds(db, unknown)) {
      found.set(row.event_id, rememberEvent(hs, row));
    }
  }
  return found;
}

/**
 * Events by their keys.
 *
 * @param db where to ask: in a transaction that holds locks, that transaction.
 */
export async function eventsOf(
  hs: Homeserver,
  eventKeys: Iterable<number>,
  db: Queryable = hs.sql,
): Promise<Map<number, StoredEvent>> {
  return await lookUp(hs, eventKeys, db, (row) => rememberEvent(hs, row));
}

/**
 * As `eventsOf`, for who reads through much that nobody may ask for again: what is not in memory comes into it only if it
 * was glimpsed before. Otherwise one who pages back through a long history would drive out what everybody needs.
 */
export async function glimpseEvents(
  hs: Homeserver,
  eventKeys: Iterable<number>,
): Promise<Map<number, StoredEvent>> {
  const cache = cacheOf(hs);
  return await lookUp(hs, eventKeys, hs.sql, (row) =>
    isGlimpsedAgain(cache, row.event_key) ? rememberEvent(hs, row) : eventOf(cache, row),
  );
}

/** @param read what becomes of a row that is not in memory. */
async function lookUp(
  hs: Homeserver,
  eventKeys: Iterable<number>,
  db: Queryable,
  read: (row: EventRow) => StoredEvent,
): Promise<Map<number, StoredEvent>> {
  const { byKey } = cacheOf(hs);
  const found = new Map<number, StoredEvent>();
  const unknown: number[] = [];
  for (const key of new Set(eventKeys)) {
    const event = byKey.get(key);
    if (event) found.set(key, event);
    else unknown.push(key);
  }
  if (unknown.length > 0) {
    for (const row of await eventsByKeys(db, unknown)) found.set(row.event_key, read(row));
  }
  return found;
}

function isGlimpsedAgain({ glimpsed }: Cache, eventKey: number): boolean {
  const slot = eventKey % glimpsed.length;
  if (glimpsed[slot] === eventKey) return true;
  glimpsed[slot] = eventKey;
  return false;
}

/**
 * As `findEvents`, each with its place if it has one by now: one that was stored without a place may have got one in another
 * process, of which this one has not heard yet.
 */
export async function findPlaced(
  hs: Homeserver,
  eventIds: readonly EventId[],
  db: Queryable = hs.sql,
): Promise<Map<EventId, StoredEvent>> {
  const found = await findEvents(hs, eventIds, db);
  for (const it of await placedSince(hs, found.values(), db)) found.set(it.eventId, it);
  return found;
}

/** As `eventsOf`, each with its place if it has one by now. */
export async function placedEventsOf(
  hs: Homeserver,
  eventKeys: Iterable<number>,
  db: Queryable = hs.sql,
): Promise<Map<number, StoredEvent>> {
  const found = await eventsOf(hs, eventKeys, db);
  for (const it of await placedSince(hs, found.values(), db)) found.set(it.eventKey, it);
  return found;
}

async function placedSince(
  hs: Homeserver,
  events: Iterable<StoredEvent>,
  db: Queryable,
): Promise<StoredEvent[]> {
  const keys = [...events].flatMap((it) => (it.anchor === undefined ? [it.eventKey] : []));
  if (keys.length === 0) return [];
  return (await eventsByKeys(db, keys)).map((row) => rememberEvent(hs, row));
}
