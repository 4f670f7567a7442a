import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Standing } from "#src/rooms/memberships.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** How many of a user's member events are looked through for their last time in the room. */
const MOST_MEMBER_EVENTS = 20;

/**
 * The event that ended a user's last stay in a room.
 *
 * @param now what the user, who is not joined, is in the room.
 * @returns undefined of one who never was joined.
 */
export async function endOfLastStay(
  hs: Homeserver,
  now: Pick<Standing, "eventKey"> | undefined,
): Promise<StoredEvent | undefined> {
  let end: StoredEvent | undefined;
  let key = now?.eventKey;
  for (let count = 0; key !== undefined && count < MOST_MEMBER_EVENTS; count++) {
    const event: StoredEvent | undefined = (await eventsOf(hs, [key])).get(key);
    if (event?.content["membership"] === "join") return end;
    end = event;
    key = event?.replaces;
  }
  return undefined;
}
