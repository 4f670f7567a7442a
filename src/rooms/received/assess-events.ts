import { isUserId } from "#src/events/event-identifiers.ts";
import type { Pdu } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { findEvents, findPlaced } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { pairKey, slotsOf, type StatePair } from "../state-slots.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { userKeysOf } from "../user-keys.ts";
import { assessEvent, type AssessOptions, type AuthEvents } from "./assess-event.ts";
import type { RoomReading } from "./auth-graph.ts";
import type { EntryRef } from "./drafted-state.ts";
import { inOrder } from "./in-order.ts";
import type { Assessed, ReceivedEvent } from "./received-event.ts";

/** What became of received events, as far as their own history decides. */
export type Assessment = {
  /** Each after those of them that it stands on. */
  readonly assessed: readonly Assessed[];
  /** Those that are stored already, by their IDs. */
  readonly known: ReadonlyMap<EventId, StoredEvent>;
  /** Those that cannot be judged, since events that they name as their auth events are not known. */
  readonly unverifiable: readonly EventId[];
};

/** Those of some events that are stored, if that is known; the others are not looked for. */
type Stored = { readonly stored?: ReadonlySet<EventId> };

/**
 * Judges events by what they name: their auth events, and the state before them. Done before the lane is
 * taken, since it takes long and never changes.
 */
export async function assessEvents(
  hs: Homeserver,
  room: Room,
  received: readonly ReceivedEvent[],
  options: AssessOptions & Stored,
): Promise<Assessment> {
  const known = await namedEvents(hs, received, options.stored);
  const events = received.map((it) => asStored(it, known.get(it.event.event_id), room));
  const isNew = ({ event }: ReceivedEvent) => {
    const stored = known.get(event.event_id);
    if (options.again) return true;
    if (stored && stored.roomKey !== room.roomKey) return false;
    return !stored || (options.asOutliers ? !isJudged(stored) : isUnplaced(stored));
  };
  // Those that have their places are in order, and what each has met depends on that.
  const ordered = options.again ? events : inOrder(events.filter(isNew));
  const [slots, userKeys] = await Promise.all([slotsOfEvents(hs, ordered), usersOf(hs, ordered)]);

  const pending = new Map<EventId, Assessed>();
  const reading: RoomReading = { room, db: hs.sql, pending };
  for (const it of ordered) {
    const { event } = it;
    const auth = authEventsOf(event, known, pending);
    if (!auth) continue;
    const senderKey = userKeys.get(event.sender);
    if (senderKey === undefined) continue;
    const slot =
      event.state_key === undefined ? undefined : slots.get(pairKey(event.type, event.state_key));
    const own = { received: it, auth, senderKey, slot, outlier: known.get(event.event_id) };
    pending.set(event.event_id, await assessEvent(hs, reading, own, { known, options }));
  }
  return {
    assessed: [...pending.values()],
    known: new Map(
      events
        .filter((it) => !isNew(it))
        .flatMap(({ event }) => {
          const stored = known.get(event.event_id);
          return stored ? [[event.event_id, stored] as const] : [];
        }),
    ),
    unverifiable: events
      .filter((it) => isNew(it) && !pending.has(it.event.event_id))
      .map((it) => it.event.event_id),
  };
}

/** The events themselves, and all that they name, as far as they are stored. */
async function namedEvents(
  hs: Homeserver,
  events: readonly ReceivedEvent[],
  stored?: ReadonlySet<EventId>,
): Promise<ReadonlyMap<EventId, StoredEvent>> {
  const ids = new Set(events.map((it) => it.event.event_id));
  const unstored = stored ? ids.difference(stored) : NONE;
  const named = events.flatMap(({ event }) => [...event.auth_events, ...event.prev_events]);
  const known = await findEvents(hs, [...new Set([...ids, ...named]).difference(unstored)]);
  const places = events.flatMap(({ event }) => [event.event_id, ...event.prev_events]);
  const placed = await findPlaced(
    hs,
    places.filter((id) => known.has(id)),
  );
  return new Map([...known, ...placed]);
}

const NONE: ReadonlySet<EventId> = new Set();

/**
 * An event as it is stored, if it is. Versions 1 and 2 let whoever sends an event name it, so it may come again as another
 * one: were that judged in its place, what is stored would have what it was not judged for.
 */
function asStored(
  it: ReceivedEvent,
  stored: StoredEvent | undefined,
  { roomKey, rules }: Room,
): ReceivedEvent {
  if (stored?.roomKey !== roomKey) return it;
  return { ...it, event: stored.pdu(rules), json: stored.json };
}

function isUnplaced({ status, anchor }: StoredEvent): boolean {
  return status === EventStatus.outlier || anchor === undefined;
}

/** Whether an event was checked when it was stored. An invitation from outside could not be. */
function isJudged({ anchor, type, stateKey, authKeys }: StoredEvent): boolean {
  if (anchor !== undefined || type === "m.room.create") return true;
  return stateKey === undefined || authKeys.length > 0;
}

/** The events that an event names as its auth events; undefined if one is not known. */
function authEventsOf(
  { auth_events, room_id }: Pdu,
  known: ReadonlyMap<EventId, StoredEvent>,
  pending: ReadonlyMap<EventId, Assessed>,
): ((rules: Room["rules"]) => AuthEvents) | undefined {
  const isKnown = (id: EventId) => pending.has(id) || known.has(id);
  if (!auth_events.every(isKnown) || room_id === undefined) return undefined;
  return (rules) =>
    auth_events.flatMap((id) => {
      const own = pending.get(id);
      if (own) return [{ event: own.event, rejected: own.isRejected, ref: refOf(own) }];
      const stored = known.get(id);
      if (!stored) return [];
      const rejected = stored.status === EventStatus.rejected;
      return [{ event: stored.pdu(rules), rejected, ref: stored.eventKey }];
    });
}

function refOf({ outlier, event }: Assessed): EntryRef {
  return outlier?.eventKey ?? event.event_id;
}

async function slotsOfEvents(
  hs: Homeserver,
  events: readonly ReceivedEvent[],
): Promise<Map<string, number>> {
  const pairs = new Map<string, StatePair>();
  for (const { event } of events) {
    if (event.state_key === undefined) continue;
    pairs.set(pairKey(event.type, event.state_key), [event.type, event.state_key]);
  }
  return await slotsOf(hs, [...pairs.values()]);
}

/** The keys of those who send events, and of those of whom they speak. */
async function usersOf(
  hs: Homeserver,
  events: readonly ReceivedEvent[],
): Promise<Map<UserId, number>> {
  const users = new Set<UserId>();
  for (const { event } of events) {
    users.add(event.sender);
    if (event.type === "m.room.member" && isUserId(event.state_key)) users.add(event.state_key);
  }
  return await userKeysOf(hs, users);
}
