import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { NodePacker } from "../state-map/encode-nodes.ts";
import { type Node, type NodeKey, type NodeRef } from "../state-map/node.ts";
import { type Difference, differences } from "../state-map/state-map.ts";
import { withNodes } from "../state-map/stored-nodes.ts";
import { type EventRow, EventStatus } from "../stored-event.ts";
import { mapsOfDrafts } from "./draft-maps.ts";
import type { DraftedState, EntryRef } from "./drafted-state.ts";
import { historyPlaces, type Place } from "./history-places.ts";
import { positionsOf, type ReceivedWrite } from "./received-write.ts";
import type { SettledEvent, Settlement } from "./settlement.ts";

/** Received events, ready to be stored. */
export type PlacedReceived = {
  readonly write: ReceivedWrite;
  readonly settlement: Settlement;
  readonly placed: readonly PlacedEvent[];
  readonly nodes: readonly { readonly eventKey: number; readonly bytes: Uint8Array }[];
  /** The same nodes, for the memory of this process. */
  readonly newNodes: readonly (readonly [NodeKey, Node])[];
  /** Where drafts are stored, that have been resolved and may be asked for again. */
  readonly roots: ReadonlyMap<DraftedState, NodeKey>;
  /** The room's current state, and where it is not what it was. */
  readonly stateRoot: NodeKey;
  readonly changes: readonly Difference[];
  readonly extremities: readonly number[];
};

export type PlacedEvent = {
  readonly settled: SettledEvent;
  readonly row: EventRow;
  /** The position that it was stored at: its key, unless it was an outlier before. */
  readonly position: number;
};

/** Gives received events their keys and places, and works out the maps of their states. */
export async function placeReceived(
  hs: Homeserver,
  lane: Tx,
  {
    write,
    settlement,
    position,
  }: { write: ReceivedWrite; settlement: Settlement; position: number },
): Promise<PlacedReceived> {
  const spans = spansOf(settlement.events, position);
  const keys = new Map<EventId, number>();
  for (const { settled, positions } of spans) {
    const { event, outlier } = settled.assessed;
    keys.set(event.event_id, outlier?.eventKey ?? positions[0] ?? 0);
  }
  const keyOf = (id: EventId) => keys.get(id) ?? missingKey();
  const drafts = new Set(settlement.events.flatMap(statesOf));
  drafts.add(settlement.current);
  const { maps, changes } = await withNodes(hs, lane, (source) => {
    const made = mapsOfDrafts(drafts, keyOf, source);
    const now = made.get(settlement.current) ?? settlement.head.stateRoot;
    return { maps: made, changes: differences(settlement.head.stateRoot, now, source) };
  });

  const packed = new Map<Node, NodeKey>();
  const roots = new Map<DraftedState, NodeKey>();
  const nodes: { eventKey: number; bytes: Uint8Array }[] = [];
  const newNodes: (readonly [NodeKey, Node])[] = [];
  const placed: PlacedEvent[] = [];
  const places = await placesFor(lane, write, settlement);
  const isOnPartial = write.as === "live" && isPartialAfter(write, settlement);
  for (const { settled, positions } of spans) {
    const packer = new NodePacker(positions, packed);
    for (const draft of statesOf(settled)) {
      roots.set(draft, packer.keyOf(maps.get(draft) ?? missingMap()));
    }
    nodes.push(...packer.rows());
    newNodes.push(...packer.packed);
    const [own = 0] = positions;
    const newest = { anchor: own, offset: 0, ordinal: settled.ordinal };
    const place = places.get(settled.assessed.event.event_id) ?? newest;
    const row = rowOf(settled, { room: write.room, place, roots, keyOf, isOnPartial });
    placed.push({ settled, row, position: own });
  }
  const stateRoot = rootOf(settlement.current, maps, packed);
  const extremities = settlement.extremities.map(({ ref }) => keyOfRef(ref, keyOf));
  return { write, settlement, placed, nodes, newNodes, roots, stateRoot, changes, extremities };
}

/** Whether a room's members are not all known once a write is stored. */
export function isPartialAfter(
  { as, membersFrom }: ReceivedWrite,
  { head, comesAnew }: Settlement,
): boolean {
  if (comesAnew) return membersFrom !== undefined;
  return head.isPartial && as !== "again";
}

/** The places of events that do not go to the room's end. */
async function placesFor(
  lane: Tx,
  { as }: ReceivedWrite,
  settlement: Settlement,
): Promise<ReadonlyMap<EventId, Place>> {
  if (as === "live") return NOWHERE;
  if (as === "history") return await historyPlaces(lane, settlement);
  return new Map(settlement.events.map(placeAsBefore));
}

/** Where an event was that is judged again. */
function placeAsBefore({ assessed: { event, outlier } }: SettledEvent): [EventId, Place] {
  if (outlier?.anchor === undefined) throw new Error("an event without a place is judged again");
  const { anchor, anchorOffset: offset, ordinal } = outlier;
  return [event.event_id, { anchor, offset, ordinal }];
}

/** The positions of each event. */
function spansOf(events: readonly SettledEvent[], first: number) {
  let next = first;
  return events.map((settled) => {
    const positions = Array.from({ length: positionsOf(settled) }, (_, index) => next + index);
    next += positions.length;
    return { settled, positions };
  });
}

function statesOf({ assessed: { states }, roomState }: SettledEvent): DraftedState[] {
  return [states?.before, states?.after, roomState].filter((it) => it !== undefined);
}

function rootOf(
  draft: DraftedState,
  maps: ReadonlyMap<DraftedState, NodeRef>,
  packed: ReadonlyMap<Node, NodeKey>,
): NodeKey {
  const ref = maps.get(draft);
  const key = typeof ref === "object" ? packed.get(ref) : ref;
  if (key === undefined) throw new Error("a room's new state came with none of its events");
  return key;
}

const NOWHERE: ReadonlyMap<EventId, Place> = new Map();

type RowSetting = {
  readonly room: ReceivedWrite["room"];
  readonly place: Place;
  readonly roots: ReadonlyMap<DraftedState, NodeKey>;
  readonly keyOf: (id: EventId) => number;
  readonly isOnPartial: boolean;
};

function rowOf(settled: SettledEvent, at: RowSetting): EventRow {
  const { assessed, decision } = settled;
  const { event, outlier, replaces, authRefs } = assessed;
  return {
    event_key: at.keyOf(event.event_id),
    room_key: at.room.roomKey,
    event_id: event.event_id,
    type: event.type,
    state_key: event.state_key ?? null,
    sender_key: assessed.senderKey,
    sender: event.sender,
    depth: event.depth,
    origin_server_ts: event.origin_server_ts,
    status: statusOf(assessed, decision),
    ...placeOf(settled, at),
    replaces: replaces === undefined ? null : keyOfRef(replaces, at.keyOf),
    auth_keys: event.state_key === undefined ? null : authRefs.map((it) => keyOfRef(it, at.keyOf)),
    redacted_by: outlier?.redactedBy ?? null,
    device_key: null,
    txn_id: null,
    ...(at.isOnPartial && assessed.states && { on_partial: true }),
    json: outlier?.json ?? assessed.received.json,
  };
}

/** Where in the room's order an event is, and the states around it; nowhere, if it is an outlier. */
function placeOf({ assessed: { states }, roomState }: SettledEvent, at: RowSetting) {
  const keyOf = (draft: DraftedState | undefined) => (draft && at.roots.get(draft)) ?? null;
  if (!states) return OUTLIER;
  return {
    anchor: at.place.anchor,
    anchor_offset: at.place.offset,
    state_before: keyOf(states.before),
    state_after: keyOf(states.after),
    room_state: keyOf(roomState),
    ordinal: at.place.ordinal,
  };
}

const OUTLIER = {
  anchor: null,
  anchor_offset: 0,
  state_before: null,
  state_after: null,
  room_state: null,
  ordinal: 0,
};

function statusOf({ states }: SettledEvent["assessed"], decision: SettledEvent["decision"]) {
  if (decision.outcome === "rejected") return EventStatus.rejected;
  if (!states) return EventStatus.outlier;
  return decision.outcome === "accepted" ? EventStatus.accepted : EventStatus.softFailed;
}

function keyOfRef(ref: EntryRef, keyOf: (id: EventId) => number): number {
  return typeof ref === "string" ? keyOf(ref) : ref;
}

function missingKey(): never {
  throw new Error("a received event stands on one that has no key");
}

function missingMap(): never {
  throw new Error("a state of a received event was not worked out");
}
