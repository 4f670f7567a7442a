import type { Tx } from "#src/homeserver/database.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { anchorsOfFollowers, beforeAnchors } from "./queries-received.ts";
import type { SettledEvent, Settlement } from "./settlement.ts";

/** A place in a room's order, and how many of its events had counted as unread by then. */
export type Place = { readonly anchor: number; readonly offset: number; readonly ordinal: number };

/**
 * Where events of the past go: each before the live events that come after it, and after what was there
 * before; among each other in their order.
 */
export async function historyPlaces(
  lane: Tx,
  { events, head }: Settlement,
): Promise<ReadonlyMap<EventId, Place>> {
  const shown = events.filter((it) => it.assessed.states);
  const roomKey = head.room.roomKey;
  const anchors = await anchorsFor(lane, roomKey, shown);
  // What nothing follows goes before the newest.
  const end = Math.min(...head.extremities.map((it) => it.anchor ?? 0));
  const byAnchor = Map.groupBy(
    shown.map((it) => it.assessed.event.event_id),
    (id) => anchors.get(id) ?? end,
  );
  const before = await beforeAnchors(lane, roomKey, [...byAnchor.keys()]);
  const places = new Map<EventId, Place>();
  for (const [anchor, ids] of byAnchor) {
    const { leastOffset = 0, ordinal = 0 } = before.get(anchor) ?? {};
    for (const [index, id] of ids.entries()) {
      places.set(id, { anchor, offset: leastOffset - ids.length + index, ordinal });
    }
  }
  return places;
}

/** The anchor of the first live event that comes after each, by way of others if need be. */
async function anchorsFor(
  lane: Tx,
  roomKey: number,
  events: readonly SettledEvent[],
): Promise<ReadonlyMap<EventId, number>> {
  const ids = events.map((it) => it.assessed.event.event_id);
  const anchors = new Map(await anchorsOfFollowers(lane, roomKey, ids));
  // Each comes after those that it stands on, so going backwards meets followers first.
  for (const { assessed } of events.toReversed()) {
    const own = anchors.get(assessed.event.event_id);
    if (own === undefined) continue;
    for (const id of assessed.event.prev_events) {
      anchors.set(id, Math.min(own, anchors.get(id) ?? own));
    }
  }
  return anchors;
}
