import { selectAuthEvents } from "#src/events/auth-rules/auth-events.ts";
import { buildEvent, type EventDraft } from "#src/events/build-event.ts";
import { eventIdOf, roomIdOfCreate } from "#src/events/event-hash.ts";
import { pduOf } from "#src/events/parse-pdu.ts";
import { type Pdu, type StateKey, stateKeyOf, type WireEvent } from "#src/events/pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import type { EventId, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import type { SigningKey } from "#src/kit/signed-json.ts";

/** An event, and its text as it goes over the wire. */
export type HeldEvent = { readonly event: Pdu; readonly json: string };

/** Who makes a room: a server that is part of the load. */
export type Maker = { readonly server: ServerName; readonly key: SigningKey };

const VERSION = "12";

/** A room in the memory of a server of the load: one event after the other, each allowed by the rules. */
export class PeerRoom {
  readonly rules: RoomVersionRules;
  readonly roomId: RoomId;
  readonly events = new Map<EventId, HeldEvent>();
  /** The newest event. */
  head: EventId;
  readonly #maker: Maker;
  readonly #state = new Map<StateKey, EventId>();
  /** Every change of the state, in order: the state before any event is made of those before it. */
  readonly #changes: { readonly place: number; readonly key: StateKey; readonly id: EventId }[] =
    [];
  readonly #places = new Map<EventId, number>();

  /** A room that anybody may join and in which everybody may do everything, with one member. */
  constructor(maker: Maker, creator: UserId) {
    const rules = ROOM_VERSIONS.get(VERSION);
    if (rules === undefined) throw new Error(`There is no room version ${VERSION}.`);
    this.rules = rules;
    this.#maker = maker;
    const content = { room_version: VERSION };
    const create = this.#build(creator, { type: "m.room.create", state_key: "", content });
    this.roomId = roomIdOfCreate(create.event.event_id);
    this.head = create.event.event_id;
    this.#keep(create);
    const levels = { users_default: 0, events_default: 0, state_default: 0, redact: 0 };
    this.addMember(creator);
    for (const [type, its] of Object.entries({
      "m.room.power_levels": levels,
      "m.room.join_rules": { join_rule: "public" },
      "m.room.history_visibility": { history_visibility: "shared" },
      "m.room.name": { name: "Bench" },
    })) {
      this.add(creator, { type, state_key: "", content: its });
    }
  }

  add(sender: UserId, draft: EventDraft): HeldEvent {
    return this.#keep(this.#build(sender, draft));
  }

  addMember(user: UserId): HeldEvent {
    const content = { membership: "join", displayname: user.slice(1).replace(/:.*/, "") };
    return this.add(user, { type: "m.room.member", state_key: user, content });
  }

  /** What somebody of another server would sign to join: an answer of `make_join`. */
  proposal(user: UserId): object {
    const draft = { type: "m.room.member", state_key: user, content: { membership: "join" } };
    return {
      ...draft,
      sender: user,
      room_id: this.roomId,
      origin_server_ts: Date.now(),
      depth: this.#depth(),
      prev_events: [this.head],
      auth_events: this.#authEvents(user, draft).map((it) => it.event_id),
    };
  }

  /** Takes another server's event, which follows the newest. */
  take(wire: WireEvent): HeldEvent {
    const id = eventIdOf(wire, this.rules);
    return this.#keep({ event: pduOf(id, wire, this.rules), json: JSON.stringify(wire) });
  }

  /** Takes another server's event that follows another than the newest, and is no part of this room's own order. */
  takeAside(wire: WireEvent): Pdu {
    const id = eventIdOf(wire, this.rules);
    const event = pduOf(id, wire, this.rules);
    this.events.set(id, { event, json: JSON.stringify(wire) });
    return event;
  }

  state(): ReadonlyMap<StateKey, EventId> {
    return this.#state;
  }

  stateBefore(id: EventId): EventId[] {
    const place = this.#places.get(id) ?? this.#places.size;
    const found = new Map<StateKey, EventId>();
    for (const change of this.#changes) if (change.place < place) found.set(change.key, change.id);
    return [...found.values()];
  }

  authChainOf(ids: readonly EventId[]): EventId[] {
    const chain = new Set<EventId>();
    const left = [...ids];
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      for (const cited of this.events.get(id)?.event.auth_events ?? []) {
        if (!chain.has(cited)) left.push(cited);
        chain.add(cited);
      }
    }
    return [...chain];
  }

  #build(sender: UserId, draft: EventDraft): HeldEvent {
    const isFirst = this.events.size === 0;
    const { event, json } = buildEvent(draft, {
      sender,
      roomId: isFirst ? undefined : this.roomId,
      rules: this.rules,
      prevEvents: isFirst ? [] : [this.head],
      authEvents: this.#authEvents(sender, draft).map((it) => it.event_id),
      depth: isFirst ? 1 : this.#depth(),
      now: Date.now(),
      server: this.#maker.server,
      signingKey: this.#maker.key,
    });
    return { event, json };
  }

  #authEvents(sender: UserId, draft: EventDraft): readonly Pdu[] {
    const lookup = (type: string, key: string) => {
      const id = this.#state.get(stateKeyOf(type, key));
      return id === undefined ? undefined : this.events.get(id)?.event;
    };
    return selectAuthEvents({ ...draft, sender }, lookup, this.rules);
  }

  #depth(): number {
    return 1 + (this.events.get(this.head)?.event.depth ?? 0);
  }

  #keep(held: HeldEvent): HeldEvent {
    const { event_id: id, type, state_key } = held.event;
    const place = this.#places.size;
    this.events.set(id, held);
    this.#places.set(id, place);
    this.head = id;
    if (state_key !== undefined) {
      const key = stateKeyOf(type, state_key);
      this.#state.set(key, id);
      this.#changes.push({ place, key, id });
    }
    return held;
  }
}
