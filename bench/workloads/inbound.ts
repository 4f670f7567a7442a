import { setTimeout as sleep } from "node:timers/promises";
import { closedLoop } from "../load/arrivals.ts";
import { deliveryFaults, refuseFaults } from "../load/delivery.ts";
import type { HttpConnection } from "../load/http-connection.ts";
import { type Account, ask } from "../load/matrix-client.ts";
import { markNumber, messageContent } from "../load/payloads.ts";
import { type Connections, openConnections, registerUsers } from "../load/population.ts";
import { readBack, readerOf, type SentEvents } from "../load/read-back.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUpSending } from "../load/warm-up.ts";
import { exchange } from "../peer/join-elsewhere.ts";
import type { HeldEvent, PeerRoom } from "../peer/peer-room.ts";
import { type Peer, startPeer } from "../peer/peer.ts";
import { untilWhole } from "./federated-join.ts";
import { bySize, type Workload } from "./workload.ts";

/** What a case of W8 is: how many rooms, how many events in a transaction, how many transactions at once. */
type Shape = { readonly rooms: number; readonly together: number; readonly inFlight: number };

const SHAPES: ReadonlyMap<string, Shape> = new Map([
  ["W8/1", { rooms: 1, together: 50, inFlight: 1 }],
  ["W8/20", { rooms: 20, together: 50, inFlight: 1 }],
  ["W8/1/single", { rooms: 1, together: 1, inFlight: 1 }],
  ["W8/20/single", { rooms: 20, together: 1, inFlight: 1 }],
  // As fast as it goes: whoever sends waits for no answer before the next.
  ["W8/1/flood", { rooms: 1, together: 1, inFlight: 32 }],
]);

/** So many are thrown at a server at any size. */
const FLOOD = 500;

/** W8: messages that another server sends to rooms that both are in. One operation is one event. */
export const inbound: Workload = {
  id: "W8",
  title: "events of another server",
  beyondNull: true,
  cases: new Map([...SHAPES.keys()].map((id) => [id, "S"])),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w8-", 2);
  const [user] = users;
  if (user === undefined) throw new Error("Nobody could be registered.");
  const peer = await startPeer(stage.federation);
  const most = Math.max(...cases.map((id) => SHAPES.get(id)?.rooms ?? 0));
  const rooms: PeerRoom[] = [];
  for (let index = 0; index < most; index++) {
    rooms.push(await commonRoom(connections, user, { peer, creator: `w8-${index}` }));
  }
  await warmUpSending(stage, connections, users);
  await warmUpReceiving(connections, peer, rooms);
  for (const id of cases) await measureCase(stage, id, { connections, user, peer, rooms });
  connections.close();
}

/** A room of a peer that a user of the measured server has joined. */
export async function commonRoom(
  connections: Connections,
  account: Account,
  { peer, creator }: { readonly peer: Peer; readonly creator: string },
): Promise<PeerRoom> {
  const room = peer.createRoom(peer.user(creator));
  const server = encodeURIComponent(peer.name);
  const path = `/join/${encodeURIComponent(room.roomId)}?via=${server}&server_name=${server}`;
  await ask(connections.lane(0), { method: "POST", path, account, body: "{}" });
  await untilWhole(connections, account, { roomId: room.roomId, members: 2 });
  return room;
}

async function warmUpReceiving(
  connections: Connections,
  peer: Peer,
  rooms: readonly PeerRoom[],
): Promise<void> {
  for (let round = 0; round < 20; round++) {
    const { transactions } = prepare(peer, rooms, {
      count: 50,
      together: round % 2 === 0 ? 50 : 1,
    });
    for (const one of transactions) await exchange(connections.lane(0), one);
  }
}

type Prepared = {
  readonly transactions: readonly string[];
  /** What goes to each room. */
  readonly sent: ReadonlyMap<PeerRoom, SentEvents>;
};

let ordinals = 0;

/** Makes and signs messages, the next to the next room, before anything is measured. */
function prepare(
  peer: Peer,
  rooms: readonly PeerRoom[],
  { count, together, inFlight = 1 }: Pick<Shape, "together"> & { count: number; inFlight?: number },
): Prepared {
  const sent = new Map<PeerRoom, SentEvents>(rooms.map((room) => [room, new Map()]));
  const events: HeldEvent[] = [];
  for (let index = 0; index < count; index++) {
    const room = rooms[index % rooms.length];
    if (room === undefined) throw new Error("A load must have a room.");
    // Of what is sent at once nobody says in which order it comes.
    const ordinal = ordinals++;
    const mark = inFlight > 1 ? { stream: ordinal, ordinal: 0 } : { stream: 0, ordinal };
    const content = JSON.parse(messageContent(mark)) as { msgtype: string; body: string };
    const held = room.add(senderIn(room), { type: "m.room.message", content });
    sent.get(room)?.set(held.event.event_id, markNumber(mark));
    events.push(held);
  }
  const transactions: string[] = [];
  for (let at = 0; at < count; at += together) {
    transactions.push(peer.transaction(events.slice(at, at + together)));
  }
  return { transactions, sent };
}

/** A server that is told to wait keeps what it has, and sends it again. */
async function sendUntilTaken(connection: HttpConnection, transaction: string): Promise<void> {
  for (;;) {
    const { status } = await connection.exchange(transaction, true);
    if (status === 200) return;
    if (status !== 429) throw new Error(`A transaction was answered ${status}.`);
    await sleep(100);
  }
}

function senderIn(room: PeerRoom) {
  const [first] = room.events.values();
  if (first === undefined) throw new Error("A room has no beginning.");
  return first.event.sender;
}

type Inbound = {
  readonly connections: Connections;
  readonly user: Account;
  readonly peer: Peer;
  readonly rooms: readonly PeerRoom[];
};

async function measureCase(
  stage: Stage,
  id: string,
  { connections, user, peer, rooms: all }: Inbound,
): Promise<void> {
  const shape = SHAPES.get(id);
  if (shape === undefined) throw new Error(`There is no case ${id}.`);
  const { together, inFlight } = shape;
  const rooms = all.slice(0, shape.rooms);
  const count = inFlight > 1 ? FLOOD : bySize(stage.size, [500, 5_000, 50_000]);
  const { transactions, sent } = prepare(peer, rooms, { count, together, inFlight });
  const reader = await readerOf(connections.lane(0), user);
  const measurement = await measure(stage, id, {
    operations: count,
    connections,
    run: async () => {
      const times: number[] = [];
      await closedLoop({ count: transactions.length, inFlight }, async (index, lane) => {
        const begun = performance.now();
        await sendUntilTaken(connections.lane(lane), transactions[index] ?? "");
        times.push(performance.now() - begun);
      });
      return times;
    },
  });
  for (const room of rooms) {
    const its = sent.get(room) ?? new Map<string, number>();
    const seen = await readBack(connections.lane(0), reader, { roomId: room.roomId, sent: its });
    refuseFaults(deliveryFaults([...its.values()], [seen]));
  }
  await stage.report(measurement);
}
