import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { fetchAuthEvents } from "./fetch-auth-events.ts";
import type { Sources } from "./sources.ts";

/**
 * Stores the events of a state that another server gave, with those that authorise it. What is missing of the latter
 * is asked for: Tuwunel and its kin give those that authorise one event, and not those of its whole state.
 *
 * @spec server-server-api#get_matrixfederationv1state_idsroomid
 */
export async function storeGiven(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
  sources: Sources,
): Promise<void> {
  const unverifiable = new Set(await storeOutliers(hs, room, events));
  if (unverifiable.size === 0) return;
  const byId = new Map(events.map((it) => [it.event.event_id, it]));
  const left = new Map([...byId].filter(([id]) => unverifiable.has(id)));
  await fetchAuthEvents(hs, room, left, sources);
  await storeOutliers(hs, room, [...left.values()]);
}
