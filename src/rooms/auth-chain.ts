import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { eventsOf, findEvent } from "./find-event.ts";
import type { Room } from "./find-room.ts";
import { authChainKeys } from "./queries-events.ts";
import type { StoredEvent } from "./stored-event.ts";

/**
 * All that state events of a room stand on: their auth events, the auth events of those, and so on. Of the events
 * themselves only those that others of them stand on. Where the create event is cited by none, but named by the room's
 * ID, it is among what all others stand on: servers look for it there when they join.
 *
 * @spec server-server-api#get_matrixfederationv1event_authroomideventid
 */
export async function authChainOf(
  hs: Homeserver,
  room: Room,
  events: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const cited = new Set(events.flatMap((it) => it.authKeys));
  const create = await uncitedCreate(hs, room);
  if (create && events.some((it) => it.eventKey !== create.eventKey)) cited.add(create.eventKey);
  const keys = await authChainKeys(hs.sql, [...cited], 0);
  return [...(await eventsOf(hs, keys)).values()];
}

/** The create event of a room whose events do not cite it. */
async function uncitedCreate(
  hs: Homeserver,
  { roomId, rules }: Room,
): Promise<StoredEvent | undefined> {
  if (!rules.roomIdIsCreateEventId) return undefined;
  const id: EventId = `$${roomId.slice(1)}`;
  return await findEvent(hs, id);
}
