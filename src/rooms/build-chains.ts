import { ROOM_VERSIONS } from "#src/events/room-versions.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Placed } from "#src/streams/stream.ts";
import { type Room, rememberRoom } from "./find-room.ts";
import { neededPairs } from "./needed-pairs.ts";
import type { Chain } from "./place-events.ts";
import { type KnownTransactions, transactionKey } from "./queries-lane.ts";
import { knownHead, loadState, readHeads, type RoomHead } from "./room-head.ts";
import { RoomInMaking } from "./room-in-making.ts";
import type { RoomWrite } from "./room-write.ts";

/** What can only be known while the lane is held: what other processes have done meanwhile. */
export type SeenInLane = {
  /** The versions of the rooms' heads, by room key. */
  readonly versions: ReadonlyMap<number, number>;
  /** The keys of rooms that were made just now, by room ID. */
  readonly newRooms: ReadonlyMap<string, number>;
  readonly transactions: KnownTransactions;
};

/** A write; or that of a room that is made with another write, if that is not refused. */
export type WritePart = Placed<RoomWrite> & { readonly madeWith?: Placed<RoomWrite> };

type Link = Chain["links"][number];

/** What became of one write, as far as building goes. */
export type Built =
  | { readonly fate: "added"; readonly room: Room; readonly links: readonly Link[] }
  /** Its transaction ID was known: the event from then. */
  | { readonly fate: "known"; readonly room: Room; readonly eventKey: number }
  | { readonly fate: "refused"; readonly error: Error };

/**
 * Builds the events of a group of writes, those of each room one on the other, on the room's true
 * head. The results are in the order of the writes.
 *
 * @param placed what is made with another write comes after that.
 */
export async function buildChains(
  hs: Homeserver,
  lane: Tx,
  placed: readonly WritePart[],
  seen: SeenInLane,
): Promise<{ chains: Chain[]; built: Built[] }> {
  const built = new Map<Placed<RoomWrite>, Built>();
  const chains: Chain[] = [];
  const byRoom = Map.groupBy(placed, ({ write: { room } }) =>
    "roomKey" in room ? room.roomKey : room.newRoom,
  );
  for (const its of byRoom.values()) {
    const chain = await buildChain(hs, lane, { its, seen, built });
    if (chain && chain.links.length > 0) chains.push(chain);
  }
  return {
    chains,
    built: placed.map((it) => built.get(it) ?? refused(new Error("a write was passed over"))),
  };
}

async function buildChain(
  hs: Homeserver,
  lane: Tx,
  {
    its,
    seen,
    built,
  }: {
    its: readonly WritePart[];
    seen: SeenInLane;
    built: Map<Placed<RoomWrite>, Built>;
  },
): Promise<Chain | undefined> {
  const room = roomOf(its[0]?.write, seen);
  if (!room) {
    for (const it of its) {
      if (isMadeWith(it, built)) throw new Error("the room to be made with this is there");
      built.set(it, refused(new MatrixError("M_ROOM_IN_USE", "The room exists already")));
    }
    return undefined;
  }
  const head = await trueHead(hs, lane, { room, its, seen });
  const making = new RoomInMaking(hs, room.rules, head, room.roomId);
  const links: Link[] = [];
  for (const it of its) {
    const outcome =
      it.madeWith && !isMadeWith(it, built)
        ? refused(new Error("what a room was to be made with was refused"))
        : buildOne(making, it, { room, seen });
    built.set(it, outcome);
    if (outcome.fate === "added") links.push(...outcome.links);
  }
  return { room, head, links };
}

/** Whether a write is of a room that is made with another write, and that was not refused. */
function isMadeWith(
  { madeWith }: WritePart,
  built: ReadonlyMap<Placed<RoomWrite>, Built>,
): boolean {
  return madeWith !== undefined && built.get(madeWith)?.fate === "added";
}

function roomOf(write: RoomWrite | undefined, seen: SeenInLane): Room | undefined {
  if (!write) return undefined;
  if ("roomKey" in write.room) return write.room;
  const { newRoom, version } = write.room;
  const roomKey = seen.newRooms.get(newRoom);
  const rules = ROOM_VERSIONS.get(version);
  return roomKey !== undefined && rules ? { roomKey, roomId: newRoom, rules } : undefined;
}

/** The room's head as it is while the lane is held; read anew if another process has moved it. */
async function trueHead(
  hs: Homeserver,
  lane: Tx,
  { room, its, seen }: { room: Room; its: readonly Placed<RoomWrite>[]; seen: SeenInLane },
): Promise<RoomHead | undefined> {
  const version = seen.versions.get(room.roomKey);
  if (version === undefined) return undefined;
  let head = knownHead(hs, room.roomKey);
  if (head?.version !== version) head = (await readHeads(hs, lane, [room])).get(room.roomKey);
  if (!head) throw new Error("a room has a version and no head");
  // All of it is in memory already, unless the head was read just now.
  await loadState(hs, lane, head, neededPairs(its.map((it) => it.write)));
  return head;
}

function buildOne(
  making: RoomInMaking,
  { write, position }: Placed<RoomWrite>,
  { room, seen }: { room: Room; seen: SeenInLane },
): Built {
  const { transaction } = write;
  if (transaction) {
    const key = transactionKey({ ...transaction, roomKey: room.roomKey });
    const known = seen.transactions.get(key);
    if (known !== undefined) return { fate: "known", room, eventKey: known };
    seen.transactions.set(key, position);
  }
  const before = making.added.length;
  try {
    write.build(making);
  } catch (error) {
    making.takeBackTo(before);
    if (transaction) {
      seen.transactions.delete(transactionKey({ ...transaction, roomKey: room.roomKey }));
    }
    return refused(error instanceof Error ? error : new Error(String(error)));
  }
  const added = making.added.slice(before);
  if (added.length > write.most) throw new Error("a write added more events than it said");
  const links = added.map((event, index) => ({
    event,
    eventKey: position + index,
    transaction: index === 0 ? transaction : undefined,
  }));
  return { fate: "added", room, links };
}

function refused(error: Error): Built {
  return { fate: "refused", error };
}

/** Makes a room known to this process once it is durable. */
export function rememberNewRoom(hs: Homeserver, { roomKey, roomId, rules }: Room): void {
  rememberRoom(hs, { room_key: roomKey, room_id: roomId, version: rules.version });
}
