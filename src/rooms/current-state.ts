import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "./find-event.ts";
import { lookUpSlots } from "./state-map/look-up-slots.ts";
import { eventKeysOfStates } from "./state-map/read-entries.ts";
import { forEachEntry } from "./state-map/state-map.ts";
import { withNodes } from "./state-map/stored-nodes.ts";
import { findSlots, pairKey, pairsOf, type StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

/** The root of a room's current state. Asks the database: another process may just have changed it. */
export async function currentStateRoot(hs: Homeserver, roomKey: number): Promise<number> {
  const [row] = await hs.sql<{ state_root: number }[]>`
    select state_root from rooms where room_key = ${roomKey}`;
  return row?.state_root ?? 0;
}

/** The roots of the current states of some rooms, by the rooms' keys. */
export async function currentStateRoots(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<Map<number, number>> {
  const rows = await hs.sql<{ room_key: number; state_root: number }[]>`
    select room_key, state_root from rooms where room_key = any(${roomKeys}::bigint[])`;
  return new Map(rows.map((it) => [it.room_key, it.state_root]));
}

/** A current state event of a room. */
export async function stateEvent(
  hs: Homeserver,
  roomKey: number,
  type: string,
  stateKey: string,
): Promise<StoredEvent | undefined> {
  const root = await currentStateRoot(hs, roomKey);
  return (await statesAt(hs, root, [[type, stateKey]])).get(pairKey(type, stateKey));
}

/** Those of some pairs that a state has an event for, by `pairKey`. */
export async function statesAt(
  hs: Homeserver,
  root: number,
  pairs: readonly StatePair[],
): Promise<Map<string, StoredEvent>> {
  return (await someOfStatesAt(hs, [root], pairs)).get(root) ?? new Map();
}

/** The same of several states, by their roots: with as few queries as of one. */
export async function someOfStatesAt(
  hs: Homeserver,
  roots: Iterable<number>,
  pairs: readonly StatePair[],
): Promise<Map<number, Map<string, StoredEvent>>> {
  const slots = await findSlots(hs, pairs);
  const found = new Map<number, Map<string, StoredEvent>>();
  for (const root of roots) found.set(root, new Map());
  const known = [...found.keys()].flatMap((root) =>
    [...slots].map(([pair, slot]) => ({ pair, slot, root })),
  );
  const eventKeys = await lookUpSlots(hs, hs.sql, known);
  const events = await eventsOf(
    hs,
    eventKeys.filter((it) => it !== undefined),
  );
  for (const [index, { root, pair }] of known.entries()) {
    const event = events.get(eventKeys[index] ?? -1);
    if (event) found.get(root)?.set(pair, event);
  }
  return found;
}

/** All events of a state. */
export async function allStateAt(hs: Homeserver, root: number): Promise<StoredEvent[]> {
  return (await allStatesAt(hs, [root])).get(root) ?? [];
}

/** All events of several states, by their roots. */
export async function allStatesAt(
  hs: Homeserver,
  roots: Iterable<number>,
): Promise<Map<number, StoredEvent[]>> {
  const keys = await eventKeysOfStates(hs, hs.sql, roots);
  const events = await eventsOf(hs, [...keys.values()].flat());
  const states = [...keys].map(
    ([root, its]) => [root, its.flatMap((key) => events.get(key) ?? [])] as const,
  );
  return new Map(states);
}

/** All events of a state but those of its members: of a large room, a few of many. */
export async function stateWithoutMembers(hs: Homeserver, root: number): Promise<StoredEvent[]> {
  const entries = await withNodes(hs, hs.sql, (source) => {
    const found: (readonly [slot: number, eventKey: number])[] = [];
    forEachEntry(root, source, (slot, eventKey) => found.push([slot, eventKey]));
    return found;
  });
  const pairs = await pairsOf(
    hs,
    entries.map(([slot]) => slot),
  );
  const others = entries.filter(([slot]) => pairs.get(slot)?.[0] !== "m.room.member");
  const events = await eventsOf(
    hs,
    others.map(([, eventKey]) => eventKey),
  );
  return [...events.values()];
}
