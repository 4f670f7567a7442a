import { clientEventOpening } from "#src/events/client-event-text.ts";
import { clientEvent } from "#src/events/client-event.ts";
import { redact } from "#src/events/redact.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { erasedUsers } from "./erased-users.ts";
import { eventsOf } from "./find-event.ts";
import { roomsByKeys } from "./find-room.ts";
import { withKnownPredecessors } from "./known-predecessors.ts";
import { type Standing, standingsOf } from "./memberships.ts";
import { readersMemberships } from "./readers-memberships.ts";
import { shownWire } from "./shown-content.ts";
import { stickyUntil } from "./sticky/sticky-events.ts";
import type { StoredEvent } from "./stored-event.ts";
import { clientTransactionId, delayIdOf } from "./transaction-ids.ts";
import { unknownRedactions } from "./unknown-redactions.ts";

/** Whom events are rendered for. */
export type Reader = {
  readonly userKey: number;
  readonly userId: string;
  readonly deviceKey: number;
};

export type RenderOptions = {
  /** Whether each event says which room it is of. `/sync` leaves that out. */
  readonly roomId: boolean;
  /** As clients want events, or as servers exchange them. */
  readonly format?: "client" | "federation";
  /** What the reader is in the rooms now, by room key, if the caller knows; saves looking it up. */
  readonly standings?: ReadonlyMap<number, Standing>;
  /** The JSON texts of what relates to events, for those with which that is told. */
  readonly relations?: ReadonlyMap<StoredEvent, string>;
  /** Whether the reader is told of everything, whatever they are in the rooms, as application services are. */
  readonly everything?: boolean;
  /** Those that are shown as if they had been redacted. */
  readonly redacted?: ReadonlySet<StoredEvent>;
  /** Those that are shown as if they had not been. */
  readonly unredacted?: ReadonlySet<StoredEvent>;
};

/** What is not in the events themselves and is said of them in `unsigned`. */
type Surroundings = {
  readonly reader: Reader;
  readonly now: number;
  readonly others: ReadonlyMap<number, StoredEvent>;
  readonly rules: ReadonlyMap<number, RoomVersionRules>;
  readonly memberships: ReadonlyMap<StoredEvent, string>;
  /** Those of which the reader may know what they took the place of. */
  readonly withPredecessors: ReadonlySet<StoredEvent>;
  /** Redactions of which the reader may know that they were made, and not what they say. */
  readonly unknownRedactions: ReadonlySet<StoredEvent>;
  /** Whose events are shown to those alone who were there. */
  readonly erased: ReadonlySet<number>;
  /** Until when those are sticky that are. */
  readonly stickyUntil: ReadonlyMap<number, UnixMs>;
};

/**
 * The JSON texts of events as one reader gets them. What is the same for all readers is made once for
 * an event and kept with it; the rest is spliced in.
 *
 * @spec client-server-api#room-event-format
 */
export async function renderEvents(
  hs: Homeserver,
  events: readonly StoredEvent[],
  reader: Reader,
  options: RenderOptions,
): Promise<string[]> {
  if (events.length === 0) return [];
  const standings =
    options.standings ??
    (await standingsOf(
      hs,
      reader.userKey,
      events.map((it) => it.roomKey),
    ));
  const [others, rooms, memberships, erased, sticky] = await Promise.all([
    eventsOf(
      hs,
      events.flatMap(({ replaces, redactedBy }) => [replaces, redactedBy]).filter(isKey),
    ),
    roomsByKeys(
      hs,
      events.map((it) => it.roomKey),
    ),
    readersMemberships(hs, events, reader, standings),
    erasedUsers(hs),
    stickyUntil(hs, events),
  ]);
  const rules = new Map([...rooms].map(([key, room]) => [key, room.rules]));
  const withPredecessors = options.everything
    ? new Set(events)
    : await withKnownPredecessors(hs, events, { userId: reader.userId, standings, memberships });
  const redactions = events.flatMap((it) => others.get(it.redactedBy ?? -1) ?? []);
  const unknown = options.everything
    ? new Set<StoredEvent>()
    : await unknownRedactions(hs, redactions, reader, standings);
  const around = {
    reader,
    now: hs.now(),
    others,
    rules,
    memberships,
    withPredecessors,
    unknownRedactions: unknown,
    erased,
    stickyUntil: sticky,
  };
  return events.map((it) => renderEvent(it, around, options));
}

function isKey(key: number | undefined): key is number {
  return key !== undefined;
}

function renderEvent(event: StoredEvent, around: Surroundings, options: RenderOptions): string {
  const isRedacted = options.redacted?.has(event) === true || isErased(event, around);
  const open = isRedacted
    ? redactedOpening(event, around, options)
    : options.unredacted?.has(event)
      ? unredactedOpening(event, around)
      : options.format === "federation"
        ? federationOpening(event, around)
        : clientOpening(event, around, options);
  const relations = options.relations?.get(event);
  const unsigned = unsignedOf(event, around);
  if (relations === undefined) return `${open},"unsigned":${unsigned}}`;
  return `${open},"unsigned":${unsigned.slice(0, -1)},"m.relations":${relations}}}`;
}

/** Whoever was not in the room when it was said is shown nothing of what somebody wanted to have erased. */
function isErased(event: StoredEvent, { erased, memberships }: Surroundings): boolean {
  return erased.has(event.senderKey) && memberships.get(event) !== "join";
}

function clientOpening(
  event: StoredEvent,
  { rules }: Surroundings,
  { roomId }: RenderOptions,
): string {
  let made = event.openings;
  if (!made || made.redactedBy !== event.redactedBy) {
    made = { redactedBy: event.redactedBy, withRoom: undefined, withoutRoom: undefined };
    event.openings = made;
  }
  const which = roomId ? "withRoom" : "withoutRoom";
  let text = made[which];
  if (text === undefined) {
    text = newOpening(event, roomId, rules);
    made[which] = text;
  }
  return text;
}

function newOpening(
  event: StoredEvent,
  roomId: boolean,
  rules: ReadonlyMap<number, RoomVersionRules>,
): string {
  if (event.redactedBy === undefined && event.type !== "m.room.redaction") {
    return clientEventOpening(event.eventId, event.json, { roomId });
  }
  const own = rulesOf(event, rules);
  const full = clientEvent(event.eventId, shownWire(event, own), own);
  const { room_id: _, ...without } = full;
  return JSON.stringify(roomId ? full : without).slice(0, -1);
}

function rulesOf(event: StoredEvent, rules: ReadonlyMap<number, RoomVersionRules>) {
  const found = rules.get(event.roomKey);
  if (!found) throw new Error("an event is of a room that is not stored");
  return found;
}

function unredactedOpening(event: StoredEvent, { rules }: Surroundings): string {
  return JSON.stringify(clientEvent(event.eventId, event.wire, rulesOf(event, rules))).slice(0, -1);
}

function redactedOpening(
  event: StoredEvent,
  { rules }: Surroundings,
  { roomId }: RenderOptions,
): string {
  const own = rulesOf(event, rules);
  const full = clientEvent(event.eventId, redact(event.wire, own), own);
  const { room_id: _, ...without } = full;
  return JSON.stringify(roomId ? full : without).slice(0, -1);
}

function federationOpening(event: StoredEvent, { rules }: Surroundings): string {
  const text =
    event.redactedBy === undefined
      ? event.json
      : JSON.stringify(shownWire(event, rulesOf(event, rules)));
  // Versions 1 and 2 have the ID in the event; of the others it is the hash.
  const { wire } = event;
  const id = wire["event_id"] === undefined ? `,"event_id":${JSON.stringify(event.eventId)}` : "";
  const room =
    wire["room_id"] === undefined
      ? `,"room_id":${JSON.stringify(`!${event.eventId.slice(1)}`)}`
      : "";
  return text.slice(0, -1) + id + room;
}

/** What a state event took the place of, as far as the reader may know it. */
function replacedBy(
  event: StoredEvent,
  replaced: StoredEvent,
  { withPredecessors, rules }: Surroundings,
): object {
  const { eventId: replaces_state, sender: prev_sender } = replaced;
  if (!withPredecessors.has(event)) return { replaces_state };
  const { content: prev_content } = shownWire(replaced, rulesOf(replaced, rules));
  // The sender is not the specification's, but clients know from it who has invited whoever has joined.
  return { replaces_state, prev_sender, prev_content };
}

function unsignedOf(event: StoredEvent, around: Surroundings): string {
  const { reader, now, others, memberships } = around;
  const redaction = event.redactedBy === undefined ? undefined : others.get(event.redactedBy);
  const own = event.txnId !== undefined && event.deviceKey === reader.deviceKey;
  const membership = memberships.get(event);
  const sticky = redaction ? undefined : around.stickyUntil.get(event.eventKey);
  const unsigned: Record<string, unknown> = { age: Math.max(0, now - event.originServerTs) };
  if (membership !== undefined) unsigned["membership"] = membership;
  if (sticky !== undefined) {
    unsigned["msc4354_sticky_duration_ttl_ms"] = Math.max(0, sticky - now);
  }
  if (own) unsigned["transaction_id"] = clientTransactionId(event);
  if (event.senderKey === reader.userKey) {
    unsigned["org.matrix.msc4140.delay_id"] = delayIdOf(event);
  }
  const replaced = event.replaces === undefined ? undefined : others.get(event.replaces);
  if (replaced) Object.assign(unsigned, replacedBy(event, replaced, around));
  if (redaction) {
    // Not the specification's, but it was there before, and other servers tell it still.
    unsigned["redacted_by"] = redaction.eventId;
    const rules = rulesOf(redaction, around.rules);
    const isKnown = !around.unknownRedactions.has(redaction);
    const because = isKnown ? shownWire(redaction, rules) : redact(redaction.wire, rules);
    unsigned["redacted_because"] = clientEvent(redaction.eventId, because, rules);
  }
  return JSON.stringify(unsigned);
}
