import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import { relationOf } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { type Standing, standingsOf } from "#src/rooms/memberships.ts";
import type { Reader } from "#src/rooms/render-events.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { endsOfStays } from "./ends-of-stays.ts";
import {
  newestEdits,
  type Parent,
  referencesTo,
  type Tally,
  tallies,
} from "./queries-aggregations.ts";
import { visibleInRooms } from "./visible-events.ts";

/** What relates to an event, as one reader is told of it together with the event. */
export type Aggregation = {
  /** The newest edit. */
  readonly edit?: StoredEvent;
  readonly thread?: {
    readonly latest: StoredEvent;
    readonly count: number;
    readonly participated: boolean;
  };
  readonly references?: readonly EventId[];
};

/** How many references to one event are named. */
const MOST_REFERENCES = 1_000;

/**
 * What relates to each of some events, as far as there is something: nothing that ignored users have sent counts, nor
 * what was redacted, nor what came after the reader had left; and of what they may not see, nothing is shown.
 *
 * @param known what the reader is in the rooms now, by room key, if the caller knows.
 * @spec client-server-api#aggregations-of-child-events
 */
export async function aggregateEvents(
  hs: Homeserver,
  events: readonly StoredEvent[],
  reader: Reader,
  known?: ReadonlyMap<number, Standing>,
): Promise<Map<StoredEvent, Aggregation>> {
  const parents = events.filter((it) => it.stateKey === undefined);
  if (parents.length === 0) return new Map();
  const standings = await standingsIn(hs, reader, parents, known);
  const ends = await endsOfStays(hs, standings);
  const all = await tallies(hs.sql, upTo(parents, ends));
  if (all.length === 0) return new Map();
  const ignored = await ignoredKeys(hs, reader);
  const counted = all.filter((it) => !ignored.has(it.senderKey));
  const related = relatedEvents(parents, counted);
  const threads = threadsOf(related);
  const [edits, references, latest] = await Promise.all([
    editsOf(hs, relatedBy(related, "m.replace"), ends),
    referencesOf(hs, upTo(relatedBy(related, "m.reference"), ends), ignored),
    eventsOf(
      hs,
      [...threads.values()].map((it) => it.latestKey),
    ),
  ]);
  const shown = [...edits.values(), ...latest.values()];
  const seen = new Set(
    await visibleInRooms(hs, { userId: reader.userId as UserId }, shown, standings),
  );
  const found = new Map<StoredEvent, Aggregation>();
  for (const event of related.keys()) {
    const edit = edits.get(event.eventId);
    const thread = threads.get(event);
    const newest = thread && latest.get(thread.latestKey);
    const referring = references.get(event.eventId);
    found.set(event, {
      ...(edit && seen.has(edit) && { edit }),
      ...(newest && seen.has(newest) && { thread: threadFor(reader, event, thread, newest) }),
      ...(referring && { references: referring }),
    });
  }
  return found;
}

/** What a reader is in the rooms of some events now, by room key. */
async function standingsIn(
  hs: Homeserver,
  { userKey }: Reader,
  events: readonly StoredEvent[],
  known: ReadonlyMap<number, Standing> | undefined,
): Promise<ReadonlyMap<number, Standing>> {
  const roomKeys = [...new Set(events.map((it) => it.roomKey))];
  if (!known) return await standingsOf(hs, userKey, roomKeys);
  return new Map(
    roomKeys.flatMap((it) => {
      const standing = known.get(it);
      return standing ? [[it, standing] as const] : [];
    }),
  );
}

/** Events to which nothing counts as relating that came after their reader had left. */
function upTo(events: readonly StoredEvent[], ends: ReadonlyMap<number, Position>): Parent[] {
  return events.map(({ eventId, roomKey, senderKey, type }) => {
    return { eventId, roomKey, senderKey, type, upTo: ends.get(roomKey) };
  });
}

async function ignoredKeys(hs: Homeserver, { userKey }: Reader): Promise<ReadonlySet<number>> {
  const ignored = await ignoredUsersOf(hs, userKey);
  if (ignored.size === 0) return new Set();
  return new Set((await findUserKeys(hs, [...ignored] as UserId[])).values());
}

type Related = ReadonlyMap<StoredEvent, readonly Tally[]>;

function relatedEvents(parents: readonly StoredEvent[], counted: readonly Tally[]): Related {
  const byParent = Map.groupBy(counted, (it) => it.parent);
  return new Map(
    parents.flatMap((it) => {
      const its = byParent.get(it.eventId);
      return its ? [[it, its] as const] : [];
    }),
  );
}

/** The events of some to which something relates in one way. */
function relatedBy(related: Related, relType: string): StoredEvent[] {
  return [...related].flatMap(([it, its]) =>
    its.some((own) => own.relType === relType) ? [it] : [],
  );
}

/**
 * The newest edits of events by their IDs. What was redacted has none, nor has an edit itself.
 *
 * @param ends up to where whoever wants to know knows of rooms, by room key, if not to their ends.
 */
export async function editsOf(
  hs: Homeserver,
  events: readonly StoredEvent[],
  ends: ReadonlyMap<number, Position> = new Map(),
): Promise<Map<EventId, StoredEvent>> {
  const edited = events.filter(
    (it) => it.redactedBy === undefined && relationOf(it.content)?.relType !== "m.replace",
  );
  if (edited.length === 0) return new Map();
  const keys = await newestEdits(hs.sql, upTo(edited, ends));
  const edits = await eventsOf(hs, keys.values());
  const found = new Map<EventId, StoredEvent>();
  for (const [parent, key] of keys) {
    const edit = edits.get(key);
    if (edit) found.set(parent, edit);
  }
  return found;
}

async function referencesOf(
  hs: Homeserver,
  parents: readonly Parent[],
  ignored: ReadonlySet<number>,
): Promise<ReadonlyMap<EventId, readonly EventId[]>> {
  if (parents.length === 0) return new Map();
  return await referencesTo(hs.sql, parents, { not: [...ignored], most: MOST_REFERENCES });
}

type Thread = {
  readonly count: number;
  readonly senders: ReadonlySet<number>;
  readonly latestKey: number;
};

/** The threads that events are the roots of. */
function threadsOf(related: Related): Map<StoredEvent, Thread> {
  const threads = new Map<StoredEvent, Thread>();
  for (const [event, its] of related) {
    const thread = threadOf(event, its);
    if (thread) threads.set(event, thread);
  }
  return threads;
}

/** What relates to another event is the root of no thread. */
function threadOf(event: StoredEvent, its: readonly Tally[]): Thread | undefined {
  const tallied = its.filter((it) => it.relType === "m.thread");
  if (tallied.length === 0) return undefined;
  if (event.redactedBy === undefined && relationOf(event.content)) return undefined;
  const count = tallied.reduce((sum, it) => sum + it.count, 0);
  const senders = new Set(tallied.map((it) => it.senderKey));
  const [, , latestKey] = tallied.map((it) => it.last).reduce((a, b) => (isAfter(a, b) ? a : b));
  return { count, senders, latestKey };
}

function threadFor(
  { userKey }: Reader,
  root: StoredEvent,
  { count, senders }: Thread,
  latest: StoredEvent,
): NonNullable<Aggregation["thread"]> {
  return { latest, count, participated: root.senderKey === userKey || senders.has(userKey) };
}

function isAfter([anchor, offset]: Tally["last"], [other, otherOffset]: Tally["last"]): boolean {
  return anchor > other || (anchor === other && offset > otherOffset);
}
