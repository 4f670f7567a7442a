/** A room of other servers, event by event, to be received. For tests alone. */

import {
  type AuthEvent,
  checkAuthEvents,
  selectAuthEvents,
} from "#src/events/auth-rules/auth-events.ts";
import { lookupAmong, type StateLookup } from "#src/events/auth-rules/auth-state.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import { buildEvent, type BuiltEvent, type EventDraft } from "#src/events/build-event.ts";
import { referenceHash } from "#src/events/event-hash.ts";
import { type Pdu, type RoomGraph, type StateKey, stateKeyOf } from "#src/events/pdu.ts";
import { ROOM_VERSIONS, type RoomVersionRules } from "#src/events/room-versions.ts";
import { resolveState } from "#src/events/state-resolution/resolve.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { unpaddedBase64 } from "#src/kit/base64.ts";
import { type EventId, type RoomId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { Room } from "../find-room.ts";
import { ensureRoom } from "./ensure-room.ts";
import { type Receipt, receiveEvents, type Receiving } from "./receive-events.ts";
import { storeJoinedState } from "./store-joined-state.ts";

export type ModelState = ReadonlyMap<StateKey, EventId>;

/** What a model that looks at everything says of an event. */
export type Modelled = {
  readonly built: BuiltEvent;
  readonly isRejected: boolean;
  readonly before: ModelState;
  readonly after: ModelState;
};

/** A room as nobody has it: all its events, whoever made them, with their states by the text of the specification. */
export class RemoteRoom {
  readonly rules: RoomVersionRules;
  readonly events = new Map<EventId, Modelled>();
  readonly graph: RoomGraph & {
    readonly events: Map<EventId, Pdu>;
    readonly rejected: Set<EventId>;
  } = { events: new Map(), rejected: new Set() };
  roomId: RoomId | undefined;
  #ts = 1_700_000_000_000;
  #count = 0;
  readonly #salt: string;

  constructor(version: string, salt: string) {
    const rules = ROOM_VERSIONS.get(version);
    if (!rules) throw new Error(`no room version ${version}`);
    this.rules = rules;
    this.#salt = salt;
    if (!rules.roomIdIsCreateEventId) this.roomId = `!${salt}:one.test`;
  }

  /** The create event, the creator's join, power levels, and public join rules: the last of them. */
  begin(creator: UserId, levels: Record<string, number> = {}): EventId {
    const { version } = this.rules;
    const content = {
      room_version: version,
      ...(this.rules.creatorInCreateContent && { creator }),
      salt: this.#salt,
    };
    let last = this.add(creator, { type: "m.room.create", state_key: "", content }, []);
    const drafts: EventDraft[] = [
      { type: "m.room.member", state_key: creator, content: { membership: "join" } },
      {
        type: "m.room.power_levels",
        state_key: "",
        content: { users: this.#users(creator, levels) },
      },
      { type: "m.room.join_rules", state_key: "", content: { join_rule: "public" } },
    ];
    for (const draft of drafts) last = this.add(creator, draft, [last]);
    return last;
  }

  #users(creator: UserId, levels: Record<string, number>) {
    return this.rules.privilegedCreators ? levels : { [creator]: 100, ...levels };
  }

  /**
   * Adds an event after others, authorised by the state there, whether or not the rules allow it.
   *
   * @param at after which others the state is by which the event says that it is authorised.
   */
  add(sender: UserId, draft: EventDraft, prev: readonly EventId[], at = prev): EventId {
    const before = this.stateAfter(prev);
    const lookup = this.lookupIn(before);
    const cited = this.lookupIn(this.stateAfter(at));
    const auth = selectAuthEvents({ ...draft, sender }, cited, this.rules);
    const hashes = new Map(
      [...prev, ...auth.map((it) => it.event_id)].map((id) => {
        const wire = this.events.get(id)?.built.wire ?? {};
        return [id, unpaddedBase64(referenceHash(wire, this.rules))];
      }),
    );
    const server = serverNameOf(sender);
    const built = buildEvent(draft, {
      sender,
      roomId: this.roomId,
      rules: this.rules,
      prevEvents: prev,
      authEvents: auth.map((it) => it.event_id),
      referenceHashes: hashes,
      depth: 1 + Math.max(0, ...prev.map((id) => this.graph.events.get(id)?.depth ?? 0)),
      now: (this.#ts += 1),
      server,
      signingKey: signingKeyFromSeed("ed25519:1", Buffer.alloc(32, server)),
      eventIdLocalpart: `${this.#salt}-${this.#count++}`,
    });
    this.roomId ??= built.event.room_id;
    const id = built.event.event_id;
    const authEvents: AuthEvent[] = auth.map((event) => ({
      event,
      rejected: this.graph.rejected.has(event.event_id),
    }));
    const isRejected = !(
      checkAuthEvents(built.event, authEvents, this.rules).allowed &&
      checkAuthRules(built.event, lookupAmong([...auth, ...this.#create()]), this.rules).allowed &&
      checkAuthRules(built.event, lookup, this.rules).allowed
    );
    this.graph.events.set(id, built.event);
    if (isRejected) this.graph.rejected.add(id);
    const isState = draft.state_key !== undefined && !isRejected;
    const after = isState
      ? new Map(before).set(stateKeyOf(draft.type, draft.state_key ?? ""), id)
      : before;
    this.events.set(id, { built, isRejected, before, after });
    return id;
  }

  stateAfter(ids: readonly EventId[]): ModelState {
    const states = [...new Set(ids)].map((id) => this.events.get(id)?.after ?? new Map());
    const [only] = states;
    if (states.length === 1 && only) return only;
    return states.length === 0 ? new Map() : resolveState(states, this.graph, this.rules);
  }

  lookupIn(state: ModelState): StateLookup {
    return (type, key) => {
      const id = state.get(stateKeyOf(type, key));
      return id === undefined ? undefined : this.graph.events.get(id);
    };
  }

  received(id: EventId) {
    const built = this.events.get(id)?.built;
    if (!built) throw new Error("no such event");
    return { event: built.event, json: built.json };
  }

  #create(): Pdu[] {
    if (!this.rules.roomIdIsCreateEventId) return [];
    const create = this.roomId && this.graph.events.get(`$${this.roomId.slice(1)}`);
    return create ? [create] : [];
  }
}

/** A room of other servers as it is known here: without any of its events, as long as none has come. */
export async function knownRoom(hs: Homeserver, { roomId, rules }: RemoteRoom): Promise<Room> {
  if (roomId === undefined) throw new Error("the room has no create event");
  return await ensureRoom(hs, roomId, rules);
}

/** Has events of a room come. @returns what became of each */
export async function receive(
  hs: Homeserver,
  { room, remote }: { readonly room: Room; readonly remote: RemoteRoom },
  ids: Iterable<EventId>,
  how?: Receiving,
): Promise<Map<EventId, Receipt>> {
  const received = Array.from(ids, (id) => remote.received(id));
  return await receiveEvents(hs, room, received, how);
}

/** A room of other servers of which all that has happened so far has come. */
export async function receivedRoom(hs: Homeserver, remote: RemoteRoom): Promise<Room> {
  const room = await knownRoom(hs, remote);
  await deliverLive(hs, { room, remote }, [...remote.events.keys()]);
  return room;
}

/**
 * A room of other servers that a user of ours has come to by a join.
 *
 * @param known what is told beside the state before it, if not all that was before.
 */
export async function joinedRoom(
  hs: Homeserver,
  remote: RemoteRoom,
  joinId: EventId,
  known?: readonly EventId[],
): Promise<Room> {
  const room = await knownRoom(hs, remote);
  const all = [...remote.events.keys()];
  const authChain = known ?? all.slice(0, all.indexOf(joinId));
  const state = [...(remote.events.get(joinId)?.before.values() ?? [])];
  const stored = await storeJoinedState(hs, {
    room,
    stateEvents: state.map((id) => remote.received(id)),
    authChain: authChain.map((id) => remote.received(id)),
    joinEvent: remote.received(joinId),
  });
  if (!stored.ok) throw new Error("the join does not hold");
  return room;
}

/** Delivers events. @returns those that could not be judged, since their auth events have not come. */
export async function deliverBatch(
  hs: Homeserver,
  room: Room,
  remote: RemoteRoom,
  batch: readonly EventId[],
): Promise<EventId[]> {
  const receipts = await receive(hs, { room, remote }, batch);
  return batch.filter((id) => receipts.get(id)?.outcome === "unverifiable");
}

/**
 * Delivers events as they happen, and waits until they are told.
 *
 * @param given the one among them before which another server has said what the state is.
 */
export async function deliverLive(
  hs: Homeserver,
  known: { readonly room: Room; readonly remote: RemoteRoom },
  ids: readonly EventId[],
  given?: EventId,
): Promise<void> {
  const states = new Map(
    given ? [[given, [...(known.remote.events.get(given)?.before.values() ?? [])]] as const] : [],
  );
  await receive(hs, known, ids, { as: "live", states });
  await tailOf(hs).catchUp();
}
