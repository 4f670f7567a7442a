import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { buildChains, type Built, rememberNewRoom, type SeenInLane } from "./build-chains.ts";
import { eventsOf, heedRedaction, rememberStored } from "./find-event.ts";
import { neededPairs } from "./needed-pairs.ts";
import { persistChains } from "./persist-chains.ts";
import { placeChain, type PlacedChain } from "./place-events.ts";
import { eventsStoredBetween } from "./queries-events.ts";
import { insertRooms, readHeadVersions } from "./queries-lane.ts";
import { forgetHead, knownHead, loadState, readHeads, rememberHead } from "./room-head.ts";
import type { RoomWrite, RoomWritten } from "./room-write.ts";
import { rememberNodes } from "./state-map/stored-nodes.ts";
import { pairKey, slotsOf } from "./state-slots.ts";
import { StoredEvent } from "./stored-event.ts";
import { userKeysOf } from "./user-keys.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is a `StoredEvent`. */
export const EVENTS = "events";

/** What this process may believe once a group is durable. */
const onceDurable = new WeakMap<readonly Placed<RoomWrite>[], () => void>();

/**
 * The events of all rooms: the one door into the graph. Events are built while the lane is held, on
 * heads that are known to be true then; so whatever is sent, by whichever process, makes one chain.
 */
export const eventsStream: Stream<RoomWrite, RoomWritten> = {
  name: EVENTS,
  positionsFor: (write) => write.most,

  async prepare(hs, writes) {
    const byRoom = Map.groupBy(writes, ({ room }) =>
      "roomKey" in room ? room.roomKey : undefined,
    );
    byRoom.delete(undefined);
    const unread = [...byRoom.values()].flatMap(([first]) =>
      first && "roomKey" in first.room && !knownHead(hs, first.room.roomKey) ? [first.room] : [],
    );
    if (unread.length > 0) await readHeads(hs, hs.sql, unread);
    for (const [roomKey, its] of byRoom) {
      const head = roomKey === undefined ? undefined : knownHead(hs, roomKey);
      if (head) await loadState(hs, hs.sql, head, neededPairs(its));
    }
    const sets = writes.flatMap((it) => it.sets);
    if (sets.length === 0) return;
    await slotsOf(hs, sets);
    const members = sets.filter(([type]) => type === "m.room.member");
    await userKeysOf(
      hs,
      members.map(([, userId]) => userId as UserId),
    );
  },

  async look(_hs, lane, writes): Promise<SeenInLane> {
    const [heads, newRooms] = await Promise.all([
      readHeadVersions(lane, writes),
      insertRooms(lane, writes),
    ]);
    return { ...heads, newRooms };
  },

  async store(hs, lane, placed, looked) {
    const { chains, built } = await buildChains(hs, lane, placed, looked as SeenInLane);
    const all: PlacedChain[] = [];
    for (const chain of chains) all.push(await placeChain(hs, lane, chain));
    const applied = await persistChains(hs, lane, all);
    const stored = new Map(
      all.flatMap((it) => it.rows).map((row) => [row.event_key, new StoredEvent(row)]),
    );
    onceDurable.set(placed, () => remember(hs, all, { stored, applied }));

    const outcomes: Outcome<RoomWritten>[] = [];
    for (const [index, it] of built.entries()) {
      outcomes.push(await settle(hs, lane, it, { write: placed[index]?.write, stored }));
    }
    return outcomes;
  },

  committed: (_hs, placed) => onceDurable.get(placed)?.(),

  failed(hs, writes) {
    for (const { room } of writes) if ("roomKey" in room) forgetHead(hs, room.roomKey);
  },

  async changesBetween(sql, after, upTo) {
    const rows = await eventsStoredBetween(sql, after, upTo);
    return rows.map((row) => changeOf(new StoredEvent(row)));
  },
};

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
  return { ok: true, result: { roomKey, events }, changes: events.map(changeOf) };
}

/** Brings the memory of this process to what has been committed. */
function remember(
  hs: Homeserver,
  chains: readonly PlacedChain[],
  { stored, applied }: { stored: ReadonlyMap<number, StoredEvent>; applied: ReadonlySet<number> },
): void {
  for (const event of stored.values()) rememberStored(hs, event);
  for (const { chain, rows, newNodes, stateRoot, ordinal } of chains) {
    rememberNodes(hs, newNodes);
    if (!chain.head) rememberNewRoom(hs, chain.room);
    const state = chain.head?.state ?? new Map<string, StoredEvent | null>();
    for (const { eventKey, event } of chain.links) {
      const own = stored.get(eventKey);
      if (own?.stateKey !== undefined) state.set(pairKey(own.type, own.stateKey), own);
      const { redacts } = event.event;
      if (redacts !== undefined && applied.has(eventKey)) heedRedaction(hs, redacts, eventKey);
    }
    const last = stored.get(rows.at(-1)?.event_key ?? 0);
    if (!last) continue;
    rememberHead(hs, {
      room: chain.room,
      version: (chain.head?.version ?? 0) + 1,
      extremities: [last],
      depth: last.depth,
      stateRoot,
      ordinal,
      state,
    });
  }
}

function changeOf(event: StoredEvent): Change {
  return { position: event.eventKey, stream: EVENTS, roomKey: event.roomKey, detail: event };
}
