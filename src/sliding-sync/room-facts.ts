import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { currentStateRoots, someOfStatesAt } from "#src/rooms/current-state.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { strippedStates } from "#src/rooms/stripped-states.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { ListedRoom } from "./listed-rooms.ts";

/** What of a room lists are filtered by. */
export type RoomFacts = {
  readonly isEncrypted: boolean;
  /** Null if it has none. */
  readonly type: string | null;
};

const CREATE: StatePair = ["m.room.create", ""];
const ENCRYPTION: StatePair = ["m.room.encryption", ""];

type Book = {
  readonly ofRooms: ReturnType<typeof lru<number, RoomFacts>>;
  /** What users outside were told of rooms, by the key of the member event that it came with. */
  readonly ofInvites: ReturnType<typeof lru<number, RoomFacts>>;
  /** Counts what has made facts of rooms untrue, so that nothing is kept that was read before. */
  changes: number;
};

const bookOf = held((hs): Book => {
  const book: Book = { ofRooms: lru(50_000), ofInvites: lru(10_000), changes: 0 };
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, roomKey, detail } of changes) {
        if (stream !== EVENTS || roomKey === undefined || !mayChange(detail)) continue;
        book.ofRooms.delete(roomKey);
        book.changes++;
      }
    },
    missed() {
      book.ofRooms.clear();
      book.changes++;
    },
  });
  return book;
});

function mayChange(detail: unknown): boolean {
  if (!(detail instanceof StoredEvent)) return true;
  return (
    detail.type === "m.room.encryption" || detail.type === "m.room.create" || detail.amongForks
  );
}

/** What lists of rooms are filtered by, by room key; kept in memory until it changes. */
export async function roomFactsOf(
  hs: Homeserver,
  userKey: number,
  rooms: readonly ListedRoom[],
): Promise<ReadonlyMap<number, RoomFacts>> {
  const { ofRooms, ofInvites } = bookOf(hs);
  const found = new Map<number, RoomFacts>();
  const unknown: number[] = [];
  const outside: ListedRoom[] = [];
  for (const room of rooms) {
    const { roomKey, standing } = room;
    const isOutside = standing.membership === "invite" || standing.membership === "knock";
    const facts = isOutside ? ofInvites.get(standing.eventKey) : ofRooms.get(roomKey);
    if (facts) found.set(roomKey, facts);
    else if (isOutside) outside.push(room);
    else unknown.push(roomKey);
  }
  if (unknown.length > 0) {
    for (const [key, it] of await readFacts(hs, unknown)) found.set(key, it);
  }
  if (outside.length > 0) {
    for (const [key, it] of await factsTold(hs, userKey, outside)) found.set(key, it);
  }
  return found;
}

async function readFacts(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<ReadonlyMap<number, RoomFacts>> {
  const book = bookOf(hs);
  const { changes } = book;
  const roots = await currentStateRoots(hs, roomKeys);
  const states = await someOfStatesAt(hs, roots.values(), [CREATE, ENCRYPTION]);
  const found = new Map<number, RoomFacts>();
  for (const [roomKey, root] of roots) {
    const state = states.get(root);
    const type = state?.get(pairKey(...CREATE))?.content["type"];
    const facts = {
      isEncrypted: state?.has(pairKey(...ENCRYPTION)) ?? false,
      type: typeof type === "string" ? type : null,
    };
    found.set(roomKey, facts);
    if (book.changes === changes) book.ofRooms.set(roomKey, facts);
  }
  return found;
}

/** What users are told of rooms that they are not in. */
async function factsTold(
  hs: Homeserver,
  userKey: number,
  rooms: readonly ListedRoom[],
): Promise<ReadonlyMap<number, RoomFacts>> {
  const told = await strippedStates(hs, userKey, rooms);
  const found = new Map<number, RoomFacts>();
  for (const { roomKey, standing } of rooms) {
    const events = (told.get(roomKey) ?? []).map(
      (it) => JSON.parse(it) as { type?: unknown; content?: { type?: unknown } },
    );
    const type = events.find((it) => it.type === "m.room.create")?.content?.type;
    const facts = {
      isEncrypted: events.some((it) => it.type === "m.room.encryption"),
      type: typeof type === "string" ? type : null,
    };
    bookOf(hs).ofInvites.set(standing.eventKey, facts);
    found.set(roomKey, facts);
  }
  return found;
}
