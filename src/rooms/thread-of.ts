import { MAIN_TIMELINE, type Relation, relationOf, type ThreadId } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvent } from "./find-event.ts";
import type { StoredEvent } from "./stored-event.ts";

/** How many relations are followed in search of a thread. @spec client-server-api#threaded-read-receipts */
const MOST_HOPS = 3;

/**
 * The thread that an event belongs to: that which it says it is in, or that of the event it relates to,
 * as a reaction does. Roots belong to the main timeline, and so does what is redacted: it says nothing any more.
 *
 * @spec client-server-api#marking-notifications-as-read
 */
export async function threadOf(hs: Homeserver, event: StoredEvent): Promise<ThreadId> {
  const last = (await relationsOf(hs, event, (it) => it.redactedBy === undefined)).at(-1);
  return last?.relType === "m.thread" ? last.eventId : MAIN_TIMELINE;
}

/** Whether an event relates, or did before it was redacted, to another, itself or by way of those that it relates to. */
export async function isRelatedTo(
  hs: Homeserver,
  event: StoredEvent,
  eventId: EventId,
): Promise<boolean> {
  return (await relationsOf(hs, event, () => true)).some((it) => it.eventId === eventId);
}

/** What an event relates to, and what that does, as far as to the root of a thread. */
async function relationsOf(
  hs: Homeserver,
  event: StoredEvent,
  relates: (event: StoredEvent) => boolean,
): Promise<readonly Relation[]> {
  const relations: Relation[] = [];
  let at: StoredEvent | undefined = event;
  while (at && relations.length < MOST_HOPS) {
    const relation = relates(at) ? relationOf(at.content) : undefined;
    if (!relation) break;
    relations.push(relation);
    if (relation.relType === "m.thread") break;
    const target: StoredEvent | undefined = await findEvent(hs, relation.eventId);
    at = target?.roomKey === event.roomKey ? target : undefined;
  }
  return relations;
}
