import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { buildChains, type Built, type SeenInLane, type WritePart } from "./build-chains.ts";
import { changeOf, eventChangesBetween, EVENTS } from "./event-changes.ts";
import { eventsOf } from "./find-event.ts";
import { neededPairs } from "./needed-pairs.ts";
import { persistChains } from "./persist-chains.ts";
import { placeChain, type PlacedChain } from "./place-events.ts";
import { deleteRooms, insertRooms, readHeadVersions } from "./queries-lane.ts";
import {
  isPlainReceived,
  positionsOfWrite,
  type ReceivedWrite,
  type ReceivedWritten,
} from "./received/received-write.ts";
import { type StoredReceived, storeReceived } from "./received/store-received.ts";
import { rememberChains } from "./remember-chains.ts";
import { forgetHead, knownHead, loadState, readHeads } from "./room-head.ts";
import type { RoomWrite, RoomWritten } from "./room-write.ts";
import { slotsOf } from "./state-slots.ts";
import { StoredEvent } from "./stored-event.ts";
import { userKeysOf } from "./user-keys.ts";

type Write = RoomWrite | ReceivedWrite;

/** What this process may believe once a group is durable. */
const onceDurable = new WeakMap<readonly Placed<Write>[], () => void>();

/**
 * The events of all rooms: the one door into the graph. Local events are built while the lane is held, on
 * heads that are known to be true then; so whatever is sent, by whichever process, makes one chain.
 * Those of other servers come judged, and are only given their places.
 */
export const eventsStream: Stream<Write, RoomWritten | ReceivedWritten> = {
  name: EVENTS,
  positionsFor: (write) =>
    isReceived(write) ? positionsOfWrite(write) : write.most + (write.with?.most ?? 0),

  async prepare(hs, its) {
    const writes = its.filter(isOfOurs).flatMap(withOthers);
    const byRoom = Map.groupBy(writes, ({ room }) =>
      "roomKey" in room ? room.roomKey : undefined,
    );
    byRoom.delete(undefined);
    const unread = [...byRoom.values()].flatMap(([first]) =>
      first && "roomKey" in first.room && !knownHead(hs, first.room.roomKey) ? [first.room] : [],
    );
    if (unread.length > 0) await readHeads(hs, hs.sql, unread);
    const sets = writes.flatMap((it) => it.sets);
    // First: what is made here need not be looked for where the state is loaded.
    if (sets.length > 0) await slotsOf(hs, sets);
    for (const [roomKey, own] of byRoom) {
      const head = roomKey === undefined ? undefined : knownHead(hs, roomKey);
      if (head) await loadState(hs, hs.sql, head, neededPairs(own));
    }
    if (sets.length === 0) return;
    const members = sets.filter(([type]) => type === "m.room.member");
    await userKeysOf(
      hs,
      members.map(([, userId]) => userId as UserId),
    );
  },

  async look(_hs, lane, writes): Promise<SeenInLane> {
    const [heads, newRooms] = await Promise.all([
      readHeadVersions(lane, writes),
      insertRooms(lane, writes.filter(isOfOurs).flatMap(withOthers)),
    ]);
    return { ...heads, newRooms };
  },

  recall(hs, writes): SeenInLane | undefined {
    const versions = new Map<number, number>();
    for (const write of writes) {
      const isPlain = isReceived(write) ? isPlainReceived(hs, write) : isPlainSent(write);
      const head = isPlain && "roomKey" in write.room && knownHead(hs, write.room.roomKey);
      if (!head || head.isPartial) return undefined;
      versions.set(head.room.roomKey, head.version);
      // What is in the group beside a coming or going may hang on it.
      if (writes.length > 1 && isOfOurs(write) && movesMembers(write)) return undefined;
    }
    return { versions, transactions: new Map(), newRooms: new Map() };
  },

  async store(hs, lane, placed, looked) {
    const seen = looked as SeenInLane;
    const sent = placed.filter(isSent);
    const local = sent.length > 0 ? await storeSent(hs, lane, sent, seen) : undefined;
    const arrived = placed.filter(isArrived);
    const received =
      arrived.length > 0 ? await storeArrived(hs, lane, arrived, { seen, sent }) : [];
    onceDurable.set(placed, () => {
      local?.remember();
      for (const it of received) it.remember();
    });
    const outcomes = new Map<Placed<Write>, Outcome<RoomWritten | ReceivedWritten>>();
    for (const [index, it] of sent.entries()) {
      outcomes.set(it, local?.outcomes[index] ?? PASSED_OVER);
    }
    for (const [index, it] of arrived.entries()) {
      outcomes.set(it, received[index]?.outcome ?? PASSED_OVER);
    }
    return placed.map((it) => outcomes.get(it) ?? PASSED_OVER);
  },

  committed: (_hs, placed) => onceDurable.get(placed)?.(),

  failed(hs, writes) {
    for (const { room } of writes) if ("roomKey" in room) forgetHead(hs, room.roomKey);
  },

  changesBetween: eventChangesBetween,
};

const PASSED_OVER: Outcome<never> = { ok: false, error: new Error("a write was passed over") };

function isReceived(write: Write): write is ReceivedWrite {
  return "assessed" in write;
}

function isOfOurs(write: Write): write is RoomWrite {
  return !isReceived(write);
}

/** Whether nothing but the tables of events is written for it, and nothing has to be asked. */
function isPlainSent({ also, with: other, transaction }: RoomWrite): boolean {
  return !also && !other && transaction?.type !== "m.room.redaction";
}

function movesMembers({ sets }: RoomWrite): boolean {
  return sets.some(([type]) => type === "m.room.member");
}

function isSent(placed: Placed<Write>): placed is Placed<RoomWrite> {
  return !isReceived(placed.write);
}

function isArrived(placed: Placed<Write>): placed is Placed<ReceivedWrite> {
  return isReceived(placed.write);
}

/** Stores what came from other servers, after what is sent: of a room that this has moved it comes back stale. */
async function storeArrived(
  hs: Homeserver,
  lane: Tx,
  arrived: readonly Placed<ReceivedWrite>[],
  { seen: { versions }, sent }: { seen: SeenInLane; sent: readonly Placed<RoomWrite>[] },
): Promise<StoredReceived[]> {
  const moved = new Set(
    sent.flatMap(({ write: { room } }) => ("roomKey" in room ? [room.roomKey] : [])),
  );
  const stored: StoredReceived[] = [];
  for (const it of arrived) {
    const { roomKey } = it.write.room;
    const seen = moved.has(roomKey) ? undefined : versions.get(roomKey);
    moved.add(roomKey);
    stored.push(await storeReceived(hs, lane, it, seen));
  }
  return stored;
}

function withOthers(write: RoomWrite): RoomWrite[] {
  return write.with ? [write, write.with] : [write];
}

/** A write and, after it, that of a room that is made with it. */
function withOther(placed: Placed<RoomWrite>): WritePart[] {
  const { write, position } = placed;
  if (!write.with) return [placed];
  return [placed, { write: write.with, position: position + write.most, madeWith: placed }];
}

type Settled = ReadonlyMap<Placed<RoomWrite>, Outcome<RoomWritten>>;

/** What became of a write, with the changes of the room that was made with it. */
function wholeOutcome(
  placed: Placed<RoomWrite>,
  parts: readonly WritePart[],
  settled: Settled,
): Outcome<RoomWritten> {
  const own = settled.get(placed) ?? PASSED_OVER;
  const part = placed.write.with && parts.find((it) => it.madeWith === placed);
  const other = part && settled.get(part);
  if (!own.ok || !other?.ok) return own;
  return { ...own, changes: [...own.changes, ...other.changes] };
}

/** Takes back the rows of rooms that were to be made with what was refused. */
function forgetUnmade(lane: Tx, parts: readonly WritePart[], settled: Settled): void {
  const unmade = parts.flatMap(({ madeWith, write: { room } }) =>
    madeWith && settled.get(madeWith)?.ok === false && "newRoom" in room ? [room.newRoom] : [],
  );
  if (unmade.length > 0) deleteRooms(lane, unmade);
}

/** Builds and stores what local users send. */
async function storeSent(
  hs: Homeserver,
  lane: Tx,
  placed: readonly Placed<RoomWrite>[],
  seen: SeenInLane,
) {
  const parts = placed.flatMap(withOther);
  const { chains, built } = await buildChains(hs, lane, parts, seen);
  const all: PlacedChain[] = [];
  for (const chain of chains) all.push(await placeChain(hs, lane, chain));
  const applied = await persistChains(hs, lane, all);
  const stored = new Map(
    all.flatMap((it) => it.rows).map((row) => [row.event_key, new StoredEvent(row)]),
  );
  const settled = new Map<Placed<RoomWrite>, Outcome<RoomWritten>>();
  for (const [index, part] of parts.entries()) {
    const it = built[index];
    if (it) settled.set(part, await settle(hs, lane, it, { write: part.write, stored }));
  }
  forgetUnmade(lane, parts, settled);
  const outcomes = placed.map((it) => wholeOutcome(it, parts, settled));
  return { outcomes, remember: () => rememberChains(hs, all, { stored, applied }) };
}

async function settle(
  hs: Homeserver,
  lane: Tx,
  built: Built,
  { write, stored }: { write: RoomWrite | undefined; stored: ReadonlyMap<number, StoredEvent> },
): Promise<Outcome<RoomWritten>> {
  if (built.fate === "refused") return { ok: false, error: built.error };
  const { roomKey } = built.room;
  if (built.fate === "known") {
    // It may be of this very group.
    const event =
      stored.get(built.eventKey) ??
      (await eventsOf(hs, [built.eventKey], lane)).get(built.eventKey);
    return { ok: true, result: { roomKey, events: event ? [event] : [] }, changes: [] };
  }
  const events = built.links.flatMap((it) => stored.get(it.eventKey) ?? []);
  await write?.also?.(lane, roomKey, events);
  return { ok: true, result: { roomKey, events }, changes: events.map((it) => changeOf(it)) };
}
