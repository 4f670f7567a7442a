import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** The most member events in memory that devices are known to have. */
const MOST = 500_000;

/**
 * Which member event of whom a device was given, so that it is not given it again with each message.
 * It is a saving and no more: a device gets again what is not in memory.
 */
const givenOf = held(() => lru<string, number>(MOST));

/**
 * Of member events that a device needs to show a timeline, those that it has not got yet; and takes
 * them as given.
 *
 * @param anew whether the device begins again, and has nothing.
 * @spec client-server-api#lazy-loading-room-members
 */
export function membersNotYetGiven(
  hs: Homeserver,
  deviceKey: number,
  members: readonly StoredEvent[],
  anew: boolean,
): StoredEvent[] {
  const given = givenOf(hs);
  return members.filter((it) => {
    const key = `${deviceKey} ${it.roomKey} ${it.stateKey ?? ""}`;
    if (!anew && given.get(key) === it.eventKey) return false;
    given.set(key, it.eventKey);
    return true;
  });
}
