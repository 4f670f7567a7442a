import { authEventKeys, selectAuthEvents } from "#src/events/auth-rules/auth-events.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import { buildEvent, type BuiltEvent, type EventDraft } from "#src/events/build-event.ts";
import { referenceHash } from "#src/events/event-hash.ts";
import type { Pdu, WireEvent } from "#src/events/pdu.ts";
import { type PowerLevels, readPowerLevels } from "#src/events/power-levels.ts";
import type { RoomVersionRules } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";
import { eventLocalpart } from "./event-localpart.ts";
import { refusalOf, requireOwnAuthoriser } from "./refusals.ts";
import type { RoomHead } from "./room-head.ts";
import { pairKey } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

/** Who sends an event. */
export type Sender = { readonly userId: UserId; readonly userKey: number };

/** An event that is built and authorised, and not stored yet. */
export type NewEvent = BuiltEvent & {
  readonly sender: Sender;
  /** The state event that it takes the place of. */
  readonly replaces: StoredEvent | NewEvent | undefined;
  /** Of a state event: its auth events. */
  readonly citing: readonly (StoredEvent | NewEvent)[];
  /** Who could do what when it was sent. */
  readonly levels: PowerLevels;
};

/** The most forward extremities that an event follows. @spec server-server-api#pdus */
const MOST_PREV_EVENTS = 20;

/**
 * A room to which events are being added, one on the other: its head, and what was added since. All
 * that it may be asked for must have been loaded into the head before, so that nothing waits.
 */
export class RoomInMaking {
  readonly rules: RoomVersionRules;
  readonly added: NewEvent[] = [];
  readonly #hs: Homeserver;
  readonly #head: RoomHead | undefined;
  readonly #state = new Map<string, NewEvent>();
  #roomId: RoomId | undefined;

  /** @param head undefined for a room that is new; its first event is the create event. */
  constructor(
    hs: Homeserver,
    rules: RoomVersionRules,
    head: RoomHead | undefined,
    roomId?: RoomId,
  ) {
    this.#hs = hs;
    this.rules = rules;
    this.#head = head;
    this.#roomId = head?.room.roomId ?? roomId;
  }

  /** Whether this is a room as it was once before, and nothing has been added to it. */
  standsOn(head: RoomHead): boolean {
    return this.#head?.version === head.version && this.added.length === 0;
  }

  /** The room's current state, with what was added. */
  lookup = (type: string, stateKey: string): Pdu | undefined => {
    const found = this.stateEvent(type, stateKey);
    return found && ("event" in found ? found.event : found.pdu(this.rules));
  };

  /** @param create the create event, while it is not in the state yet. */
  levels(create: Pdu): PowerLevels {
    const powerLevels = this.lookup("m.room.power_levels", "");
    return readPowerLevels(powerLevels, this.lookup("m.room.create", "") ?? create, this.rules);
  }

  stateEvent(type: string, stateKey: string): StoredEvent | NewEvent | undefined {
    const key = pairKey(type, stateKey);
    const added = this.#state.get(key);
    if (added) return added;
    if (!this.#head) return undefined;
    const event = this.#head.state.get(key);
    if (event === undefined) throw new Error(`the state of ${type} was not loaded into the head`);
    return event ?? undefined;
  }

  /**
   * Builds an event on what is there, and adds it if the room's rules allow it.
   *
   * @throws MatrixError M_FORBIDDEN naming the rule, or M_INVALID_PARAM if nobody may send it; M_TOO_LARGE,
   *   M_BAD_JSON.
   */
  add(draft: EventDraft, sender: Sender): NewEvent {
    const subject = { ...draft, sender: sender.userId };
    const last = this.added.at(-1);
    const extremities = this.#head?.extremities.slice(0, MOST_PREV_EVENTS) ?? [];
    const prevEvents = last ? [last.event.event_id] : extremities.map((it) => it.eventId);
    const authEvents = selectAuthEvents(subject, this.lookup, this.rules);
    const built = buildEvent(draft, {
      sender: sender.userId,
      roomId: this.#roomId,
      rules: this.rules,
      prevEvents,
      authEvents: authEvents.map((it) => it.event_id),
      ...(this.rules.eventFormat === "id-hash-pairs" && {
        referenceHashes: this.#referenceHashes(authEvents),
      }),
      depth: (last?.event.depth ?? this.#head?.depth ?? 0) + 1,
      now: this.#hs.now(),
      server: this.#hs.name,
      signingKey: this.#hs.signingKey,
      ...(this.rules.eventIdFormat === "assigned" && { eventIdLocalpart: eventLocalpart() }),
    });
    const verdict = checkAuthRules(built.event, this.lookup, this.rules);
    if (!verdict.allowed) throw refusalOf(verdict);
    requireOwnAuthoriser(built.event, this.rules, this.#hs.name);
    return this.#append({ ...built, sender });
  }

  /** Adds events that were built on this same room before. */
  adopt(events: readonly NewEvent[]): void {
    for (const event of events) this.#append(event);
  }

  /** Takes back what was added after a number of events: a write that was refused leaves nothing. */
  takeBackTo(count: number): void {
    for (const event of this.added.splice(count).reverse()) {
      const { type, state_key } = event.event;
      if (state_key === undefined) continue;
      const key = pairKey(type, state_key);
      if (event.replaces && "event" in event.replaces) this.#state.set(key, event.replaces);
      else this.#state.delete(key);
    }
    if (count === 0 && !this.#head && this.rules.roomIdIsCreateEventId) this.#roomId = undefined;
  }

  #append(it: Omit<NewEvent, "replaces" | "citing" | "levels">): NewEvent {
    const { type, state_key, room_id } = it.event;
    const replaces = state_key === undefined ? undefined : this.stateEvent(type, state_key);
    const citing =
      state_key === undefined
        ? []
        : authEventKeys(it.event, this.rules).flatMap((pair) => this.stateEvent(...pair) ?? []);
    const event: NewEvent = { ...it, replaces, citing, levels: this.levels(it.event) };
    this.added.push(event);
    if (state_key !== undefined) this.#state.set(pairKey(type, state_key), event);
    this.#roomId ??= room_id;
    return event;
  }

  /** Versions 1 and 2 name events together with their hashes. */
  #referenceHashes(authEvents: readonly Pdu[]): Map<EventId, string> {
    const wires = new Map<EventId, WireEvent>();
    for (const it of this.#head?.extremities ?? []) wires.set(it.eventId, it.wire);
    for (const it of this.#head?.state.values() ?? []) if (it) wires.set(it.eventId, it.wire);
    for (const it of this.added) wires.set(it.event.event_id, it.wire);
    const ids = [
      ...authEvents.map((it) => it.event_id),
      ...(this.#head?.extremities ?? []).map((it) => it.eventId),
      ...this.added.slice(-1).map((it) => it.event.event_id),
    ];
    return new Map(
      ids.map((id) => {
        const wire = wires.get(id);
        if (!wire) throw new Error("an event to be named by its hash is not at hand");
        return [id, unpaddedBase64(referenceHash(wire, this.rules))];
      }),
    );
  }
}
