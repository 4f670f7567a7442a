import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import { MAIN_TIMELINE, type ThreadId } from "#src/events/threads.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { threadOf } from "#src/rooms/thread-of.ts";
import { mainBetween, type Tally } from "./counts.ts";
import { newestEventKeys } from "./queries-unread.ts";
import { mainMark, markOf, type RoomMarks } from "./read-marks.ts";
import type { RoomUnreads } from "./room-unreads.ts";
import { indexAfter } from "./threaded.ts";
import { type Reader, tryRules } from "./try-rules.ts";

/** The most unread events of a room that are looked at. Older ones count as the default rules say. */
const MOST_EVENTS = 500;

/** For how many pairs of user and room it is kept what the rules said. */
const MOST_KEPT = 20_000;

type Notifying = {
  readonly eventKey: number;
  readonly thread: ThreadId;
  readonly highlight: boolean;
};

/** What the rules said of a room's events so far. */
type Kept = Pick<Reader, "rules" | "ignored" | "threads"> & {
  /** All events up to this one have been looked at. */
  upTo: number;
  /** Events that were too many to be looked at had counted as unread up to here. */
  readonly olderUpTo: number;
  notifying: Notifying[];
};

const keptOf = held(() => lru<string, Promise<Kept>>(MOST_KEPT));

/**
 * Counts what a user has not read by trying their rules on each event: once for each, and at first for
 * those that are unread then.
 */
export async function tallyByRules(
  hs: Homeserver,
  tally: Tally,
  reader: Reader,
  { room, roomId, marks }: { room: RoomUnreads; roomId: RoomId; marks: RoomMarks | undefined },
): Promise<void> {
  const cache = keptOf(hs);
  const key = `${reader.owner.userKey} ${room.roomKey}`;
  const before = cache.get(key);
  const extended = extend(hs, reader, { room, roomId, marks }, before);
  // One after the other: two requests of one user must not both look at the same events.
  cache.set(key, extended);
  extended.catch(() => {
    if (cache.peek(key) === extended) cache.delete(key);
  });
  const kept = await extended;

  const older = mainBetween(room, mainMark(marks).ordinal, kept.olderUpTo);
  tally.add(MAIN_TIMELINE, { notify: older, highlight: 0 });
  const unread = kept.notifying.filter((it) => it.eventKey > markOf(marks, it.thread).anchor);
  const events = await eventsOf(
    hs,
    unread.map((it) => it.eventKey),
  );
  for (const it of unread) {
    if (events.get(it.eventKey)?.redactedBy !== undefined) continue;
    tally.add(it.thread, { notify: 1, highlight: it.highlight ? 1 : 0 });
  }
}

type Where = {
  readonly room: RoomUnreads;
  readonly roomId: RoomId;
  readonly marks: RoomMarks | undefined;
};

async function extend(
  hs: Homeserver,
  reader: Reader,
  where: Where,
  before: Promise<Kept> | undefined,
): Promise<Kept> {
  const kept = await before?.catch(() => undefined);
  const { rules, ignored, threads } = reader;
  const isSame = kept?.rules === rules && kept.ignored === ignored && kept.threads === threads;
  if (!kept || !isSame) {
    return await begin(hs, reader, where);
  }
  const { room, marks } = where;
  const events =
    kept.upTo >= room.recentFrom
      ? await inOrder(
          hs,
          room.recent.filter((it) => it > kept.upTo),
        )
      : await newestAfter(hs, room, kept.upTo);
  // There may be more than these.
  if (events.length >= MOST_EVENTS) return await begin(hs, reader, where);
  const unread = kept.notifying.filter((it) => it.eventKey > markOf(marks, it.thread).anchor);
  const added = await notifyingOf(hs, reader, where, events);
  return {
    ...kept,
    upTo: Math.max(kept.upTo, ...events.map((it) => it.eventKey)),
    notifying: [...unread, ...added],
  };
}

async function begin(hs: Homeserver, reader: Reader, where: Where): Promise<Kept> {
  const { room, marks } = where;
  const after = mainMark(marks).anchor;
  const newest = await newestAfter(hs, room, after);
  const threaded = await eventsOf(hs, unreadThreaded(room, marks, after));
  const [oldest] = newest;
  const isWhole = newest.length < MOST_EVENTS || !oldest;
  return {
    rules: reader.rules,
    ignored: reader.ignored,
    threads: reader.threads,
    upTo: newest.at(-1)?.eventKey ?? after,
    olderUpTo: isWhole ? 0 : oldest.ordinal - (countsAsUnread(aboutOf(oldest)) ? 1 : 0),
    notifying: await notifyingOf(hs, reader, where, [...threaded.values(), ...newest]),
  };
}

/** The newest events after one, in order. */
async function newestAfter(
  hs: Homeserver,
  room: RoomUnreads,
  after: number,
): Promise<readonly StoredEvent[]> {
  const keys = await newestEventKeys(hs.sql, room.roomKey, { after, most: MOST_EVENTS });
  return await inOrder(hs, keys.toReversed());
}

async function inOrder(hs: Homeserver, keys: readonly number[]): Promise<readonly StoredEvent[]> {
  const events = await eventsOf(hs, keys);
  return keys.flatMap((it) => events.get(it) ?? []);
}

/** Events of threads that are unread though the main timeline has been read beyond them. */
function unreadThreaded(
  room: RoomUnreads,
  marks: RoomMarks | undefined,
  upTo: number,
): readonly number[] {
  const keys = [...room.threads].flatMap(([root, its]) => {
    const from = indexAfter(its.keys, markOf(marks, root as ThreadId).anchor);
    return its.keys.slice(from, indexAfter(its.keys, upTo));
  });
  return keys.toSorted((a, b) => a - b).slice(-MOST_EVENTS);
}

async function notifyingOf(
  hs: Homeserver,
  reader: Reader,
  { room, roomId }: Where,
  events: readonly StoredEvent[],
): Promise<Notifying[]> {
  const notifying: Notifying[] = [];
  for (const { event, highlight } of await tryRules(hs, reader, { room, roomId, events })) {
    const thread = await threadOf(hs, event);
    notifying.push({ eventKey: event.eventKey, thread, highlight });
  }
  return notifying;
}

function aboutOf({ type, content, stateKey }: StoredEvent) {
  return { type, content, ...(stateKey !== undefined && { state_key: stateKey }) };
}
