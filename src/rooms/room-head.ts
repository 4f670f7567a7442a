import type { Queryable } from "#src/homeserver/database.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { eventsOf, placedEventsOf } from "./find-event.ts";
import type { Room } from "./find-room.ts";
import { getSlot } from "./state-map/state-map.ts";
import { withNodes } from "./state-map/stored-nodes.ts";
import { findSlots, pairKey, type StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

/** What the next event of a room is built on, as of one version of the room's row. */
export type RoomHead = {
  readonly room: Room;
  /** The version of the room's row that this was read from. */
  readonly version: number;
  readonly extremities: readonly StoredEvent[];
  readonly depth: number;
  /** The current state: a node of the state map. */
  readonly stateRoot: number;
  readonly ordinal: number;
  /** Whether the current state lacks members that are still to be fetched. */
  readonly isPartial: boolean;
  /** The current state events that were asked for so far, by `pairKey`; null where there is none. */
  readonly state: Map<string, StoredEvent | null>;
};

type HeadRow = {
  room_key: number;
  head_version: number;
  extremities: number[];
  depth: number;
  state_root: number;
  ordinal: number;
  is_partial: boolean;
};

const cacheOf = held(() => lru<number, RoomHead>(5_000));

/** Of each read of heads that is under way, the rooms that are forgotten meanwhile: what it finds of them may be older. */
const readsOf = held(() => new Set<Set<number | typeof ALL>>());

const ALL = "all";

/** The head as this process knows it. Whether it is still true can only be seen in the lane. */
export function knownHead(hs: Homeserver, roomKey: number): RoomHead | undefined {
  return cacheOf(hs).get(roomKey);
}

export function rememberHead(hs: Homeserver, head: RoomHead): void {
  cacheOf(hs).set(head.room.roomKey, head);
}

export function forgetHead(hs: Homeserver, roomKey: number): void {
  cacheOf(hs).delete(roomKey);
  for (const forgotten of readsOf(hs)) forgotten.add(roomKey);
}

export function forgetHeads(hs: Homeserver): void {
  cacheOf(hs).clear();
  for (const forgotten of readsOf(hs)) forgotten.add(ALL);
}

/** Reads the heads of rooms, and remembers them. */
export async function readHeads(
  hs: Homeserver,
  db: Queryable,
  rooms: readonly Room[],
): Promise<Map<number, RoomHead>> {
  const forgotten = new Set<number | typeof ALL>();
  readsOf(hs).add(forgotten);
  const { rows, events } = await readRows(hs, db, rooms).finally(() => {
    readsOf(hs).delete(forgotten);
  });
  const heads = new Map<number, RoomHead>();
  for (const row of rows) {
    const room = rooms.find((it) => it.roomKey === row.room_key);
    if (!room) continue;
    const head: RoomHead = {
      room,
      version: row.head_version,
      extremities: row.extremities.map((key) => mustHave(events.get(key))),
      depth: row.depth,
      stateRoot: row.state_root,
      ordinal: row.ordinal,
      isPartial: row.is_partial,
      state: new Map(),
    };
    heads.set(row.room_key, head);
    if (!forgotten.has(ALL) && !forgotten.has(row.room_key)) rememberHead(hs, head);
  }
  return heads;
}

async function readRows(hs: Homeserver, db: Queryable, rooms: readonly Room[]) {
  const rows = await db<HeadRow[]>`
    select room_key, head_version, extremities, depth, state_root, ordinal, is_partial from rooms
    where room_key = any(${rooms.map((it) => it.roomKey)}::bigint[])`;
  const events = await placedEventsOf(
    hs,
    rows.flatMap((it) => it.extremities),
    db,
  );
  return { rows, events };
}

/** Reads current state events into a head, so that they can be looked up without waiting. */
export async function loadState(
  hs: Homeserver,
  db: Queryable,
  head: RoomHead,
  pairs: readonly StatePair[],
): Promise<void> {
  const missing = pairs.filter((it) => !head.state.has(pairKey(...it)));
  if (missing.length === 0) return;
  const slots = await findSlots(hs, missing, db);
  const eventKeys = await withNodes(hs, db, (source) =>
    missing.map((it) => {
      const slot = slots.get(pairKey(...it));
      return slot === undefined ? undefined : getSlot(head.stateRoot, slot, source);
    }),
  );
  const events = await eventsOf(
    hs,
    eventKeys.filter((it) => it !== undefined),
    db,
  );
  for (const [index, pair] of missing.entries()) {
    const key = eventKeys[index];
    head.state.set(pairKey(...pair), key === undefined ? null : mustHave(events.get(key)));
  }
}

function mustHave(event: StoredEvent | undefined): StoredEvent {
  if (!event) throw new Error("a room's head names an event that is not stored");
  return event;
}
