import type { LRUCache } from "lru-cache";
import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import { threadRootOf } from "#src/events/threads.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { EVENTS, MemberMoved, ServersMoved } from "#src/rooms/event-changes.ts";
import { redactedInMemory } from "#src/rooms/find-event.ts";
import {
  type RedactionStep,
  SENDER_REDACTIONS,
} from "#src/rooms/mass-redaction/sender-redactions-stream.ts";
import { redactedIn } from "#src/rooms/redacted-in.ts";
import { NOWHERE } from "#src/rooms/room-reads.ts";
import { EventStatus, StoredEvent } from "#src/rooms/stored-event.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { highlightsInRooms, ordinalsOfRooms, threadedInRooms } from "./queries-unread.ts";
import { indexAfter, putIn, takeOut, type Threaded } from "./threaded.ts";

const MOST_ROOMS = 20_000;

/** The most events in threads, or redacted, that are remembered of a room. Older ones count to the main timeline. */
const MOST_THREADED = 5_000;

/** The most events that are remembered of a room for those whose rules have to look at each. */
const MOST_RECENT = 128;

/** Whose highlights are everyone's in the room. */
const EVERYONE = 0;

/**
 * What there is to be read in a room, as far as it is the same for all its members: kept once for all of
 * them, and made true by what the streams tell, at a small and constant cost for each event.
 */
export class RoomUnreads {
  readonly roomKey: number;
  /** How many events have counted as unread so far. */
  ordinal = 0;
  readonly threads = new Map<string, Threaded>();
  /** Events that had counted, wherever they were, until they were redacted. */
  readonly redacted: Threaded = { keys: [], ordinals: [] };
  /** All events after this one are in `recent`. */
  recentFrom: number;
  /** The keys of the newest events, in order. */
  recent: number[] = [];
  /** What the rules of some ask about the room, until that changes. See `room-context.ts`. */
  context: Promise<unknown> | undefined;
  readonly #highlights = new Map<number, number[]>();
  #highlightsUpTo = 0;
  #highlightsStale = false;
  #reading: Promise<void> | undefined;
  #early: StoredEvent[] | undefined = [];

  constructor(roomKey: number, recentFrom: number) {
    this.roomKey = roomKey;
    this.recentFrom = recentFrom;
  }

  /** Takes what has been read from the database, and then what was heard of meanwhile. */
  loaded(
    ordinal: number,
    threaded: readonly { eventKey: number; ordinal: number; root: string }[],
    highlights: readonly { userKey: number; eventKey: number }[],
  ): void {
    this.ordinal = Math.max(this.ordinal, ordinal);
    for (const it of threaded) this.#thread(it);
    for (const it of highlights) this.#highlight(it);
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) this.take(event);
  }

  /** Takes an event that has come into the room. */
  take(event: StoredEvent): void {
    if (this.#early) {
      this.#early.push(event);
      return;
    }
    const { type, eventKey, ordinal, stateKey: state_key, json } = event;
    this.ordinal = Math.max(this.ordinal, ordinal);
    // To look at the text is cheaper than to look into the event, and nearly all events are plain.
    if (json.includes('"m.thread"')) {
      const { content } = event;
      const root = threadRootOf(content);
      const about = { type, content, ...(state_key !== undefined && { state_key }) };
      if (root !== undefined && countsAsUnread(about)) this.#thread({ eventKey, ordinal, root });
    }
    if (json.includes('"m.mentions"') || state_key === "") this.#highlightsStale = true;
    if (CONTEXT_TYPES.has(type)) this.context = undefined;
    this.recent.push(eventKey);
    if (this.recent.length > 2 * MOST_RECENT) {
      const dropped = this.recent.splice(0, MOST_RECENT);
      this.recentFrom = dropped.at(-1) ?? this.recentFrom;
    }
  }

  /**
   * Takes it that an event which has come is redacted: it counts no more.
   *
   * @returns false if that has to be read anew.
   */
  redact(event: StoredEvent): boolean {
    if (this.#early) return false;
    const { type, content, eventKey, ordinal, stateKey: state_key } = event;
    const about = { type, content, ...(state_key !== undefined && { state_key }) };
    if (!isCounted(event) || !countsAsUnread(about)) return true;
    const thread = this.threads.get(threadRootOf(content) ?? NOWHERE);
    if (thread) takeOut(thread, eventKey);
    putIn(this.redacted, { eventKey, ordinal });
    return true;
  }

  /** Members may have come or gone without an event that says so. */
  forgetContext(): void {
    this.context = undefined;
  }

  #thread({ eventKey, ordinal, root }: { eventKey: number; ordinal: number; root: string }): void {
    const known = root === NOWHERE ? this.redacted : this.threads.get(root);
    const thread = known ?? { keys: [], ordinals: [] };
    if ((thread.keys.at(-1) ?? 0) >= eventKey) return;
    thread.keys.push(eventKey);
    thread.ordinals.push(ordinal);
    if (!known) this.threads.set(root, thread);
  }

  #highlight({ userKey, eventKey }: { userKey: number; eventKey: number }): void {
    const its = this.#highlights.get(userKey) ?? [];
    if ((its.at(-1) ?? 0) < eventKey) its.push(eventKey);
    this.#highlights.set(userKey, its);
    this.#highlightsUpTo = Math.max(this.#highlightsUpTo, eventKey);
  }

  /** The keys of the events after one that are to be highlighted for a user, whatever they have read. */
  async highlightsFor(hs: Homeserver, userKey: number, after: number): Promise<readonly number[]> {
    if (this.#highlightsStale) {
      this.#highlightsStale = false;
      this.#reading = this.#readHighlights(hs);
    }
    // Others who ask meanwhile wait for the same rows.
    await this.#reading;
    const own = this.#highlights.get(userKey) ?? [];
    const all = this.#highlights.get(EVERYONE) ?? [];
    return [...new Set([...after0(own, after), ...after0(all, after)])];
  }

  async #readHighlights(hs: Homeserver): Promise<void> {
    try {
      const rows = await highlightsInRooms(hs.sql, [this.roomKey], this.#highlightsUpTo);
      for (const it of rows) this.#highlight(it);
    } catch (error) {
      this.#highlightsStale = true;
      throw error;
    }
  }
}

/** Whether an event has a place in the room's count: it was told of as it came. */
function isCounted({ status, anchorOffset }: StoredEvent): boolean {
  return status === EventStatus.accepted && anchorOffset === 0;
}

function after0(keys: readonly number[], after: number): readonly number[] {
  return keys.slice(indexAfter(keys, after));
}

const CONTEXT_TYPES = new Set(["m.room.member", "m.room.power_levels", "m.room.create"]);

type Entry = { readonly room: RoomUnreads; readonly loaded: Promise<void> };

const roomsOf = held((hs) => {
  const cache = lru<number, Entry>(MOST_ROOMS);
  tailOf(hs).listen({
    changed(changes) {
      for (const change of changes) heed(hs, cache, change);
    },
    missed: () => cache.clear(),
  });
  return cache;
});

type Cache = LRUCache<number, Entry>;

function heed(hs: Homeserver, cache: Cache, { stream, roomKey, detail }: Change): void {
  // As happens when forks are resolved.
  if (detail instanceof ServersMoved) cache.peek(roomKey ?? 0)?.room.forgetContext();
  // And when a room's members are all known: then it is another room, too, that is to be read.
  if (detail instanceof MemberMoved) cache.delete(roomKey ?? 0);
  // What is redacted counts no more: that is read anew.
  if (stream === SENDER_REDACTIONS) cache.delete((detail as RedactionStep).roomKey);
  if (stream === EVENTS && detail instanceof StoredEvent) heedEvent(hs, cache, detail);
}

function heedEvent(hs: Homeserver, cache: Cache, event: StoredEvent): void {
  const room = cache.peek(event.roomKey)?.room;
  if (!room) return;
  // What others have redacted is forgotten, and so are counts where it is not known what was redacted, and whether.
  const isHeeded = redactedIn(event).every((redacts) => {
    const target = redactedInMemory(hs, redacts);
    return target?.roomKey === event.roomKey && room.redact(target);
  });
  if (!isHeeded || event.redactedBy !== undefined) cache.delete(event.roomKey);
  if (isCounted(event)) room.take(event);
}

/** What there is to be read in rooms. */
export async function roomUnreadsOf(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<readonly RoomUnreads[]> {
  const cache = roomsOf(hs);
  const missing = roomKeys.filter((it) => !cache.has(it));
  if (missing.length > 0) {
    const position = tailOf(hs).position;
    const made = missing.map((it) => new RoomUnreads(it, position));
    const loaded = load(hs, made);
    loaded.catch(() => {
      for (const it of missing) cache.delete(it);
    });
    for (const room of made) cache.set(room.roomKey, { room, loaded });
    // More rooms than the memory holds are counted all the same.
    if (roomKeys.length > MOST_ROOMS) {
      await loaded;
      return made;
    }
  }
  const entries = roomKeys.flatMap((it) => cache.get(it) ?? []);
  await Promise.all(new Set(entries.map((it) => it.loaded)));
  return entries.map((it) => it.room);
}

async function load(hs: Homeserver, rooms: readonly RoomUnreads[]): Promise<void> {
  const roomKeys = rooms.map((it) => it.roomKey);
  const [ordinals, threaded, highlights] = await Promise.all([
    ordinalsOfRooms(hs.sql, roomKeys),
    threadedInRooms(hs.sql, roomKeys, MOST_THREADED),
    highlightsInRooms(hs.sql, roomKeys, 0),
  ]);
  const ordinalOf = new Map(ordinals.map((it) => [it.roomKey, it.ordinal]));
  const threadedOf = Map.groupBy(threaded, (it) => it.roomKey);
  const highlightsOf = Map.groupBy(highlights, (it) => it.roomKey);
  for (const room of rooms) {
    const { roomKey } = room;
    room.loaded(
      ordinalOf.get(roomKey) ?? 0,
      threadedOf.get(roomKey) ?? [],
      highlightsOf.get(roomKey) ?? [],
    );
  }
}
