import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Room } from "./find-room.ts";
import type { RoomHead } from "./room-head.ts";
import type { NewEvent } from "./room-in-making.ts";
import type { Transaction } from "./room-write.ts";
import { NodePacker } from "./state-map/encode-nodes.ts";
import { EMPTY, type Node, type NodeKey, type NodeRef } from "./state-map/node.ts";
import { setSlot } from "./state-map/state-map.ts";
import { withNodes } from "./state-map/stored-nodes.ts";
import { findSlots, pairKey, type StatePair } from "./state-slots.ts";
import { type EventRow, EventStatus, type StoredEvent } from "./stored-event.ts";

/** Events that were added to one room, in the order of its chain, with the keys they were given. */
export type Chain = {
  readonly room: Room;
  /** What the first of them is built on; undefined if the room is new. */
  readonly head: RoomHead | undefined;
  readonly links: readonly {
    readonly event: NewEvent;
    readonly eventKey: number;
    readonly transaction: Transaction | undefined;
  }[];
};

/** A chain, ready to be stored. */
export type PlacedChain = {
  readonly chain: Chain;
  readonly rows: readonly EventRow[];
  /** What is stored of the state map, by the events that it came with. */
  readonly nodes: readonly { readonly eventKey: number; readonly bytes: Uint8Array }[];
  /** The same nodes, for the memory of this process. */
  readonly newNodes: readonly (readonly [NodeKey, Node])[];
  readonly stateRoot: NodeKey;
  readonly ordinal: number;
};

/** Works out the state before and after each event of a chain, and all else that is stored of them. */
export async function placeChain(hs: Homeserver, lane: Tx, chain: Chain): Promise<PlacedChain> {
  const pairs = chain.links.map(({ event }) => pairOf(event)).filter((it) => it !== undefined);
  const slots = await findSlots(hs, pairs, lane);
  const roots = await withNodes(hs, lane, (source) => {
    let root: NodeRef = chain.head?.stateRoot ?? EMPTY;
    return chain.links.map(({ event, eventKey }) => {
      const pair = pairOf(event);
      if (pair) root = setSlot(root, slotOf(slots, pair), eventKey, source);
      return root;
    });
  });

  const packed = new Map<Node, NodeKey>();
  const eventKeys = new Map(chain.links.map((it) => [it.event, it.eventKey]));
  const rows: EventRow[] = [];
  const nodes: { eventKey: number; bytes: Uint8Array }[] = [];
  const newNodes: (readonly [NodeKey, Node])[] = [];
  let before: NodeKey = chain.head?.stateRoot ?? EMPTY;
  let ordinal = chain.head?.ordinal ?? 0;
  for (const [index, link] of chain.links.entries()) {
    const packer = new NodePacker(link.eventKey, packed);
    const after = packer.keyOf(roots[index] ?? EMPTY);
    nodes.push(...packer.rows());
    newNodes.push(...packer.packed);
    if (countsAsUnread(link.event.event)) ordinal++;
    rows.push(rowOf(chain, link, { before, after, ordinal, eventKeys }));
    before = after;
  }
  return { chain, rows, nodes, newNodes, stateRoot: before, ordinal };
}

function rowOf(
  { room, head }: Chain,
  { event: it, eventKey, transaction }: Chain["links"][number],
  at: {
    before: NodeKey;
    after: NodeKey;
    ordinal: number;
    eventKeys: ReadonlyMap<NewEvent, number>;
  },
): EventRow {
  const { event } = it;
  const keyOf = (other: NewEvent | StoredEvent) =>
    "event" in other ? (at.eventKeys.get(other) ?? missingKey()) : other.eventKey;
  return {
    event_key: eventKey,
    room_key: room.roomKey,
    event_id: event.event_id,
    type: event.type,
    state_key: event.state_key ?? null,
    sender_key: it.sender.userKey,
    sender: event.sender,
    depth: event.depth,
    origin_server_ts: event.origin_server_ts,
    status: EventStatus.accepted,
    anchor: eventKey,
    anchor_offset: 0,
    state_before: at.before,
    state_after: at.after,
    room_state: null,
    ordinal: at.ordinal,
    replaces: it.replaces ? keyOf(it.replaces) : null,
    auth_keys: event.state_key === undefined ? null : it.citing.map(keyOf),
    redacted_by: null,
    device_key: transaction?.deviceKey ?? null,
    txn_id: transaction?.txnId ?? null,
    ...(head?.isPartial && { on_partial: true }),
    json: it.json,
  };
}

function missingKey(): never {
  throw new Error("an event stands on one of its own chain that was given no key");
}

function pairOf({ event }: NewEvent): StatePair | undefined {
  return event.state_key === undefined ? undefined : [event.type, event.state_key];
}

function slotOf(slots: ReadonlyMap<string, number>, pair: StatePair): number {
  const slot = slots.get(pairKey(...pair));
  if (slot === undefined) throw new Error(`no slot was made for the state of ${pair[0]}`);
  return slot;
}
