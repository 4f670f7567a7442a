import type { Pdu, RoomGraph } from "#src/events/pdu.ts";
import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { eventInMemory, eventsOf, findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { authChainKeys } from "../queries-events.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import type { DraftedState, EntryRef } from "./drafted-state.ts";

/** An event that is about to be stored, as far as others can stand on it. */
export type PendingEvent = {
  readonly event: Pdu;
  readonly isRejected: boolean;
  /** Its auth events. */
  readonly authRefs: readonly EntryRef[];
  /** Undefined if it is to have no place in the room. */
  readonly states: { readonly before: DraftedState; readonly after: DraftedState } | undefined;
};

/** Where a room's events are read from. */
export type RoomReading = {
  readonly room: Room;
  /** Where to ask: in a transaction that holds locks, that transaction. */
  readonly db: Queryable;
  /** Events that are not stored yet. */
  readonly pending: ReadonlyMap<EventId, PendingEvent>;
};

/** Events of a room and their auth chains, brought into memory for what cannot wait for them. */
export class AuthGraph implements RoomGraph {
  readonly events = new Map<EventId, Pdu>();
  readonly rejected = new Set<EventId>();
  readonly #refs = new Map<EventId, EntryRef>();
  readonly #ids = new Map<EntryRef, EventId>();
  readonly #hs: Homeserver;
  readonly #reading: RoomReading;

  constructor(hs: Homeserver, reading: RoomReading) {
    this.#hs = hs;
    this.#reading = reading;
  }

  /** Takes in events with their auth chains. @param oldest down to which key the chains are followed. */
  async load(refs: Iterable<EntryRef>, oldest = 0): Promise<void> {
    const visited = new Set<EntryRef>();
    const absent: number[] = [];
    const waiting = [...refs];
    for (let ref = waiting.pop(); ref !== undefined; ref = waiting.pop()) {
      if (visited.has(ref)) continue;
      visited.add(ref);
      const cited = typeof ref === "string" ? this.#addPending(ref) : this.#addInMemory(ref);
      if (cited === undefined) absent.push(ref as number);
      for (const it of cited ?? []) {
        if (typeof it === "string" || it >= oldest) waiting.push(it);
      }
    }
    if (absent.length === 0) return;
    const { db } = this.#reading;
    const keys = await authChainKeys(db, absent, oldest);
    for (const event of (await eventsOf(this.#hs, keys, db)).values()) this.#add(event);
  }

  /** Takes in the create event of a room whose events do not cite it. */
  async loadCreate(): Promise<void> {
    const { room, db, pending } = this.#reading;
    if (!room.rules.roomIdIsCreateEventId) return;
    const id: EventId = `$${room.roomId.slice(1)}`;
    if (pending.has(id)) this.#addPending(id);
    else for (const event of (await findEvents(this.#hs, [id], db)).values()) this.#add(event);
  }

  /** @throws Error of an event that has not been taken in. */
  idOf(ref: EntryRef): EventId {
    const id = this.#ids.get(ref);
    if (id === undefined) throw new Error("an event that a state names is not stored");
    return id;
  }

  refOf(id: EventId): EntryRef {
    return this.#refs.get(id) ?? id;
  }

  #addPending(id: EventId): readonly EntryRef[] {
    const pending = this.#reading.pending.get(id);
    if (!pending) throw new Error("an event is neither stored nor about to be");
    this.events.set(id, pending.event);
    if (pending.isRejected) this.rejected.add(id);
    this.#ids.set(id, id);
    return pending.authRefs;
  }

  #addInMemory(key: number): readonly number[] | undefined {
    const event = eventInMemory(this.#hs, key);
    if (!event) return undefined;
    this.#add(event);
    return event.authKeys;
  }

  #add(event: StoredEvent): void {
    const { eventId, eventKey } = event;
    if (this.#ids.has(eventKey)) return;
    this.events.set(eventId, event.pdu(this.#reading.room.rules));
    if (event.status === EventStatus.rejected) this.rejected.add(eventId);
    this.#ids.set(eventKey, eventId);
    this.#refs.set(eventId, eventKey);
  }
}
