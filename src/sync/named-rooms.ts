import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { lookUpSlots } from "#src/rooms/state-map/look-up-slots.ts";
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
  const lookups = roots.flatMap(({ room_key, state_root }) =>
    [...slots.values()].map((slot) => ({ roomKey: room_key, root: state_root, slot })),
  );
  const keys = await lookUpSlots(hs, hs.sql, lookups);
  const found = lookups.flatMap(({ roomKey }, index) => {
    const eventKey = keys[index];
    return eventKey === undefined ? [] : [{ room_key: roomKey, eventKey }];
  });
  const events = await eventsOf(
    hs,
    found.map((it) => it.eventKey),
  );
  const named = found.filter(({ eventKey }) => {
    const event = events.get(eventKey);
    // No redaction leaves a name.
    if (!event || event.redactedBy !== undefined) return false;
    const { name, alias } = event.content;
    return (typeof name === "string" && name !== "") || (typeof alias === "string" && alias !== "");
  });
  return new Set(named.map((it) => it.room_key));
}
