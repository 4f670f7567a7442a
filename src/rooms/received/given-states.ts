import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import type { RoomHead } from "../room-head.ts";
import type { NodeKey } from "../state-map/node.ts";
import { differences, mapOf } from "../state-map/state-map.ts";
import { withNodes } from "../state-map/stored-nodes.ts";
import { pairKey, slotsOf, type StatePair } from "../state-slots.ts";
import { EventStatus } from "../stored-event.ts";
import type { DraftedState } from "./drafted-state.ts";

/** States that another server gave, as IDs of state events: by the IDs of the events before which they are. */
export type GivenStates = ReadonlyMap<EventId, readonly EventId[]>;

/**
 * Drafts of states that another server gave. Each is what it has other than the room's current state, or
 * than another that is more like it, so that it takes no more room than that.
 *
 * Events that are not known or were rejected are left out.
 */
export async function givenStates(
  hs: Homeserver,
  head: RoomHead,
  given: GivenStates,
  base: NodeKey = head.stateRoot,
): Promise<Map<EventId, DraftedState>> {
  const drafts = new Map<EventId, DraftedState>();
  for (const [eventId, ids] of given) {
    const entries = await entriesOf(hs, head.room.roomKey, ids);
    drafts.set(eventId, await draftOf(hs, base, entries));
  }
  return drafts;
}

/** A stored state, with what it lacks of another that a server gave. */
export async function completedState(
  hs: Homeserver,
  base: NodeKey,
  { room, state }: { readonly room: Room; readonly state: readonly EventId[] },
): Promise<DraftedState> {
  const other = mapOf(await entriesOf(hs, room.roomKey, state));
  const changes = await withNodes(hs, hs.sql, (source) => differences(base, other, source));
  const lacking = changes.filter((it) => it.before === undefined);
  return { base, changes: new Map(lacking.map((it) => [it.slot, it.after])) };
}

async function entriesOf(
  hs: Homeserver,
  roomKey: number,
  ids: readonly EventId[],
): Promise<[slot: number, eventKey: number][]> {
  const events = [...(await findEvents(hs, ids)).values()].filter(
    (it) =>
      it.roomKey === roomKey && it.stateKey !== undefined && it.status !== EventStatus.rejected,
  );
  const pairOf = (it: (typeof events)[number]): StatePair => [it.type, it.stateKey ?? ""];
  const slots = await slotsOf(hs, events.map(pairOf));
  return events.flatMap((it) => {
    const slot = slots.get(pairKey(...pairOf(it)));
    return slot === undefined ? [] : [[slot, it.eventKey]];
  });
}

async function draftOf(
  hs: Homeserver,
  base: number,
  entries: readonly (readonly [slot: number, eventKey: number])[],
): Promise<DraftedState> {
  const map = mapOf(entries);
  const changes = await withNodes(hs, hs.sql, (source) => differences(base, map, source));
  return { base, changes: new Map(changes.map((it) => [it.slot, it.after])) };
}
