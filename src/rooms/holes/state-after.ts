import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RawPdu } from "#src/homeserver/remotes.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { EventStatus, StoredEvent } from "../stored-event.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { optionsOf, type Sources } from "./sources.ts";

/**
 * The event after which the state is that before another: the one that it follows. Where it follows several, only
 * the state before itself is what they come to together.
 */
export function onlyPredecessor({ prev_events }: ReceivedEvent["event"]): EventId | undefined {
  const [last, ...others] = prev_events;
  return others.length === 0 ? last : undefined;
}

/** One event, as it is stored, or as another server gives it. */
export async function rawEventFrom(
  hs: Homeserver,
  { eventId, server }: { readonly eventId: EventId; readonly server: ServerName },
  sources: Pick<Sources, "remotes" | "until" | "timeoutMs">,
): Promise<StoredEvent | RawPdu | undefined> {
  const known = (await findEvents(hs, [eventId])).get(eventId);
  if (known) return known;
  const answer = await sources.remotes.getEvent(server, { eventId }, optionsOf(sources));
  return answer.ok ? answer.body.pdus[0] : undefined;
}

/** What such an event is once it is stored; undefined if it cannot be. */
export async function storedEvent(
  hs: Homeserver,
  room: Room,
  { eventId, pdu }: { readonly eventId: EventId; readonly pdu: StoredEvent | RawPdu },
  sources: Pick<Sources, "keys">,
): Promise<StoredEvent | undefined> {
  if (pdu instanceof StoredEvent) return pdu;
  await storeOutliers(hs, room, await checkedOfRoom(hs, room, [pdu], sources));
  return (await findEvents(hs, [eventId])).get(eventId);
}

/** The state after an event, from that before it: what was rejected changes nothing. */
export async function withEvent(
  hs: Homeserver,
  state: readonly EventId[],
  { eventId, type, stateKey, status }: StoredEvent,
): Promise<readonly EventId[]> {
  if (stateKey === undefined || status === EventStatus.rejected) return state;
  const stored = await findEvents(hs, state);
  const others = state.filter((id) => {
    const it = stored.get(id);
    return it?.type !== type || it.stateKey !== stateKey;
  });
  return [...others, eventId];
}
