import type { LRUCache } from "lru-cache";
import type { Receipt } from "#src/ephemeral/receipt.ts";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import type { ThreadId } from "#src/events/threads.ts";
import { MAIN_TIMELINE } from "#src/events/threads.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { type ReadMark, readBySending, WHOLE_ROOM } from "#src/rooms/room-reads.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { readMarksOfUser } from "./queries-unread.ts";

/** For how many users it is kept how far they have read. */
const MOST_USERS = 20_000;

/** How far something is read: an event's anchor, and how many events had counted as unread by then. */
export type Mark = { readonly anchor: number; readonly ordinal: number };

/** How far one user has read one room: as a whole, and by thread. */
export type RoomMarks = ReadonlyMap<ReadMark["thread"], Mark>;

const NOTHING_READ: Mark = { anchor: 0, ordinal: 0 };

/** How far a thread is read, be it by itself or with the whole room. */
export function markOf(marks: RoomMarks | undefined, thread: ThreadId): Mark {
  const whole = marks?.get(WHOLE_ROOM) ?? NOTHING_READ;
  const own = marks?.get(thread) ?? NOTHING_READ;
  return own.anchor > whole.anchor ? own : whole;
}

type Entry = {
  readonly rooms: Map<number, Map<ReadMark["thread"], Mark>>;
  readonly loaded: Promise<void>;
};

/** Marks only ever move forward, so what is loaded and what is heard meanwhile may come in any order. */
const marksByUser = held((hs) => {
  const cache = lru<number, Entry>(MOST_USERS);
  tailOf(hs).listen({
    changed(changes) {
      for (const change of changes) heed(cache, change);
    },
    missed: () => cache.clear(),
  });
  return cache;
});

function heed(cache: LRUCache<number, Entry>, { stream, detail }: Change): void {
  if (stream === RECEIPTS) {
    const { userKey, roomKey, thread, read, ordinal } = detail as Receipt;
    const entry = cache.peek(userKey);
    if (entry) move(entry, { userKey, roomKey, thread, anchor: read, ordinal });
  } else if (stream === EVENTS && detail instanceof StoredEvent) {
    const { senderKey: userKey, roomKey, eventKey: anchor, ordinal, type } = detail;
    const entry = cache.peek(userKey);
    if (!entry) return;
    // Whether one has come in by it is known where it was stored.
    if (type === "m.room.member") {
      cache.delete(userKey);
      return;
    }
    const { content } = detail;
    const thread = readBySending({ type, content }, false);
    if (thread !== undefined) move(entry, { userKey, roomKey, thread, anchor, ordinal });
  }
}

function move({ rooms }: Entry, { roomKey, thread, anchor, ordinal }: ReadMark): void {
  const marks = rooms.get(roomKey) ?? new Map<ReadMark["thread"], Mark>();
  if ((marks.get(thread)?.anchor ?? 0) < anchor) marks.set(thread, { anchor, ordinal });
  rooms.set(roomKey, marks);
}

/** How far a user of this server has read each of their rooms, by the rooms' keys. */
export async function readMarksOf(
  hs: Homeserver,
  userKey: number,
): Promise<ReadonlyMap<number, RoomMarks>> {
  const cache = marksByUser(hs);
  let entry = cache.get(userKey);
  if (!entry) {
    const rooms: Entry["rooms"] = new Map();
    const made: Entry = { rooms, loaded: load(hs, userKey, rooms) };
    made.loaded.catch(() => {
      if (cache.peek(userKey) === made) cache.delete(userKey);
    });
    cache.set(userKey, made);
    entry = made;
  }
  await entry.loaded;
  return entry.rooms;
}

async function load(hs: Homeserver, userKey: number, rooms: Entry["rooms"]): Promise<void> {
  const entry = { rooms, loaded: Promise.resolve() };
  for (const mark of await readMarksOfUser(hs.sql, userKey)) move(entry, mark);
}

/** How far the main timeline is read. */
export function mainMark(marks: RoomMarks | undefined): Mark {
  return markOf(marks, MAIN_TIMELINE);
}
