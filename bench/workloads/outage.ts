import { once } from "node:events";
import { refuseFaults } from "../load/delivery.ts";
import { marksIn } from "../load/payloads.ts";
import { type Connections, fillRooms, openConnections, registerUsers } from "../load/population.ts";
import { type LoadedRoom, sendMessages } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUpSending } from "../load/warm-up.ts";
import { exchange } from "../peer/join-elsewhere.ts";
import { type Peer, startPeer } from "../peer/peer.ts";
import { bySize, numberAt, type Workload } from "./workload.ts";

const ROOMS = 5;
const PATIENCE_MS = 120_000;

/** W9: what other servers have missed, once they are back. One operation is one event for one of them. */
export const outage: Workload = {
  id: "W9",
  title: "after an outage",
  beyondNull: true,
  cases: new Map([
    ["W9/1", "S"],
    ["W9/10", "S"],
    ["W9/50", "M"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w9-", 2);
  await warmUpSending(stage, connections, users);
  for (const id of cases) {
    const peers: Peer[] = [];
    while (peers.length < numberAt(id, 1)) peers.push(await startPeer(stage.federation));
    const rooms = await fillRooms(connections, ROOMS, () => users);
    const loaded = rooms.map((room): LoadedRoom => ({ room, sent: new Map(), readers: [] }));
    for (const peer of peers) {
      for (const { roomId } of rooms) {
        await peer.joinRoom(connections.lane(0), roomId, peer.user("guest"));
      }
    }
    const warming = sendMessages(connections, { rooms: loaded, count: 200, inFlight: 4 });
    await Promise.all([warming, untilAllHave(peers, 200)]);
    for (const { sent } of loaded) sent.clear();
    for (const peer of peers) await peer.goDown();
    const missed = bySize(stage.size, [1_000, 1_000, 10_000]);
    await sendMessages(connections, { rooms: loaded, count: missed, inFlight: 4 });
    for (const peer of peers) peer.received.length = 0;
    const measurement = await measure(stage, id, {
      operations: missed * peers.length,
      connections,
      run: async () => await comeBack(connections, peers, missed),
    });
    for (const peer of peers) checkReceived(peer, loaded);
    await stage.report(measurement);
    for (const peer of peers) await peer.goDown();
  }
  connections.close();
}

/** @returns after what time each of them had everything. */
async function comeBack(
  connections: Connections,
  peers: readonly Peer[],
  missed: number,
): Promise<number[]> {
  const begun = performance.now();
  const times: number[] = [];
  await Promise.all(
    peers.map(async (peer, index) => {
      await peer.comeUp();
      // A sign of life, as a server gives one when its users come back.
      await exchange(connections.lane(index + 1), peer.transaction([]));
      await untilAllHave([peer], missed);
      times.push(performance.now() - begun);
    }),
  );
  return times;
}

async function untilAllHave(peers: readonly Peer[], count: number): Promise<void> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  for (const peer of peers) {
    while (messagesOf(peer) < count) {
      const heard = Promise.withResolvers<void>();
      peer.onReceived(heard.resolve);
      await Promise.race([heard.promise, once(signal, "abort")]);
      if (signal.aborted) {
        throw new Error(`A server has ${messagesOf(peer)} of ${count} events after two minutes.`);
      }
    }
  }
}

function messagesOf({ received }: Peer): number {
  return received.filter(({ type }) => type === "m.room.message").length;
}

/** Whether a server has been sent everything, once, and what belongs to a room in the order in which it was sent. */
function checkReceived(peer: Peer, rooms: readonly LoadedRoom[]): void {
  const faults: string[] = [];
  for (const { room, sent } of rooms) {
    const its = peer.received.filter((one) => one["room_id"] === room.roomId);
    const marks = its.flatMap(({ content }) => marksIn(JSON.stringify(content)));
    const missing = [...sent.values()].filter((mark) => !marks.includes(mark)).length;
    if (missing > 0) faults.push(`${peer.name} did not get ${missing} events of ${room.roomId}`);
    if (marks.length !== sent.size) faults.push(`${peer.name} got ${marks.length} of ${sent.size}`);
    const depths = its.map(({ depth }) => Number(depth));
    if (depths.some((depth, at) => depth < (depths[at - 1] ?? 0))) {
      faults.push(`${peer.name} got events of ${room.roomId} out of order`);
    }
  }
  refuseFaults(faults);
}
