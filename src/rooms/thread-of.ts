import { MAIN_TIMELINE, relationOf, type ThreadId } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { findEvent } from "./find-event.ts";
import type { StoredEvent } from "./stored-event.ts";

/** How many relations are followed in search of a thread. @spec client-server-api#threaded-read-receipts */
const MOST_HOPS = 3;

/**
 * The thread that an event belongs to: that which it says it is in, or that of the event it relates to,
 * as a reaction does. Roots belong to the main timeline.
 *
 * @spec client-server-api#marking-notifications-as-read
 */
export async function threadOf(hs: Homeserver, event: StoredEvent): Promise<ThreadId> {
  let at: StoredEvent | undefined = event;
  for (let hops = 0; hops < MOST_HOPS && at; hops++) {
    const relation = relationOf(at.content);
    if (!relation) return MAIN_TIMELINE;
    if (relation.relType === "m.thread") return relation.eventId;
    const target: StoredEvent | undefined = await findEvent(hs, relation.eventId);
    at = target?.roomKey === event.roomKey ? target : undefined;
  }
  return MAIN_TIMELINE;
}
