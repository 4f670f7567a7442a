import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "./find-event.ts";
import { authChainKeys } from "./queries-events.ts";
import type { StoredEvent } from "./stored-event.ts";

/**
 * All that state events stand on: their auth events, the auth events of those, and so on. Of the events
 * themselves only those that others of them cite.
 *
 * @spec server-server-api#get_matrixfederationv1event_authroomideventid
 */
export async function authChainOf(
  hs: Homeserver,
  events: readonly StoredEvent[],
): Promise<StoredEvent[]> {
  const cited = new Set(events.flatMap((it) => it.authKeys));
  const keys = await authChainKeys(hs.sql, [...cited], 0);
  return [...(await eventsOf(hs, keys)).values()];
}
