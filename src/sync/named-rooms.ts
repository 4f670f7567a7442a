import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { getSlot } from "#src/rooms/state-map/state-map.ts";
import { nodesOf, withNodes } from "#src/rooms/state-map/stored-nodes.ts";
import { findSlots, type StatePair } from "#src/rooms/state-slots.ts";

const NAMES: readonly StatePair[] = [
  ["m.room.name", ""],
  ["m.room.canonical_alias", ""],
];

/** Of some rooms, those that have a name or a canonical alias that clients can show. */
export async function namedRooms(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<Set<number>> {
  const [slots, roots] = await Promise.all([
    findSlots(hs, NAMES),
    hs.sql<{ room_key: number; state_root: number }[]>`
      select room_key, state_root from rooms where room_key = any(${roomKeys}::bigint[])`,
  ]);
  // All first nodes with one query; most rooms have no more.
  await nodesOf(
    hs,
    hs.sql,
    roots.map((it) => it.state_root).filter((it) => it !== 0),
  );
  const found = await withNodes(hs, hs.sql, (source) =>
    roots.flatMap(({ room_key, state_root }) =>
      [...slots.values()].flatMap((slot) => {
        const eventKey = getSlot(state_root, slot, source);
        return eventKey === undefined ? [] : [{ room_key, eventKey }];
      }),
    ),
  );
  const events = await eventsOf(
    hs,
    found.map((it) => it.eventKey),
  );
  const named = found.filter(({ eventKey }) => {
    const { name, alias } = events.get(eventKey)?.content ?? {};
    return (typeof name === "string" && name !== "") || (typeof alias === "string" && alias !== "");
  });
  return new Set(named.map((it) => it.room_key));
}
