import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { statesAt } from "#src/rooms/current-state.ts";
import { citedMembers } from "#src/rooms/partial/cited-members.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** The member events of those who sent some events, as they were in a state. For lazy loading. */
export async function memberStates(
  hs: Homeserver,
  root: number,
  events: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const pairs = [...new Set(events.map((it) => it.sender))].map((sender): StatePair => [
    "m.room.member",
    sender,
  ]);
  const members = [...(await statesAt(hs, root, pairs)).values()];
  return [...members, ...(await citedMembers(hs, events, members))];
}
