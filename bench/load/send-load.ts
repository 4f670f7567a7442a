import { closedLoop } from "./arrivals.ts";
import { deliveryFaults, refuseFaults } from "./delivery.ts";
import { type Account, newTransactionId, putEvent } from "./matrix-client.ts";
import { messageContent, markNumber } from "./payloads.ts";
import { type Connections, type Room } from "./population.ts";
import { type Reader, readBack, readerOf, type SentEvents } from "./read-back.ts";

/** A room under load: what was sent to it, and where each member stood before. */
export type LoadedRoom = {
  readonly room: Room;
  readonly sent: SentEvents;
  readonly readers: readonly Reader[];
};

/** How many members read at once afterwards. */
const READING = 4;

/** Notes where every member of a room stands. Call it before the load. */
export async function openRoom(connections: Connections, room: Room): Promise<LoadedRoom> {
  const readers: Reader[] = [];
  const { members } = room;
  await closedLoop({ count: members.length, inFlight: READING }, async (index, lane) => {
    const member = memberAt(room, index);
    readers[index] = await readerOf(connections.lane(lane), member);
  });
  return { room, sent: new Map(), readers };
}

/** How a number of messages is to be sent. */
export type SendPlan = {
  readonly rooms: readonly LoadedRoom[];
  readonly count: number;
  readonly inFlight: number;
};

/**
 * Sends plain messages in a closed loop, each by the next member of the next room.
 *
 * @returns how long each took, in milliseconds
 */
export async function sendMessages(connections: Connections, plan: SendPlan): Promise<number[]> {
  const { rooms, count, inFlight } = plan;
  const times: number[] = [];
  const ordinals = Array.from({ length: inFlight }, () => 0);
  await closedLoop({ count, inFlight }, async (index, lane) => {
    const loaded = rooms[index % rooms.length];
    if (loaded === undefined) throw new Error("A load must have a room.");
    const ordinal = ordinals[lane] ?? 0;
    ordinals[lane] = ordinal + 1;
    const mark = { stream: lane, ordinal };
    const start = performance.now();
    const member = memberAt(loaded.room, Math.floor(index / rooms.length));
    const eventId = await putEvent(connections.lane(lane), member, {
      roomId: loaded.room.roomId,
      path: `send/m.room.message/${newTransactionId()}`,
      content: messageContent(mark),
    });
    times.push(performance.now() - start);
    loaded.sent.set(eventId, markNumber(mark));
  });
  return times;
}

/**
 * Has every member read the room back.
 *
 * @throws DeliveryError when somebody has not got every event exactly once and in order.
 */
export async function checkRoom(connections: Connections, loaded: LoadedRoom): Promise<void> {
  const { readers, sent, room } = loaded;
  const seen: Awaited<ReturnType<typeof readBack>>[] = [];
  await closedLoop({ count: readers.length, inFlight: READING }, async (index, lane) => {
    const reader = readers[index];
    if (reader === undefined) return;
    seen[index] = await readBack(connections.lane(lane), reader, { roomId: room.roomId, sent });
  });
  refuseFaults(deliveryFaults([...sent.values()], seen));
}

/** The members of a room in turn. */
export function memberAt({ members }: Room, index: number): Account {
  const member = members[index % members.length];
  if (member === undefined) throw new Error("A room must have a member.");
  return member;
}
