import { openLoop, poissonArrivals, seededRandom } from "../load/arrivals.ts";
import { firstSyncs, startAudience, untilAllSaw, withPollers } from "../load/audience.ts";
import { deliveryFaults, refuseFaults } from "../load/delivery.ts";
import type { LongPoller } from "../load/long-poller.ts";
import { newTransactionId, putEvent } from "../load/matrix-client.ts";
import { markNumber, messageContent } from "../load/payloads.ts";
import {
  type Connections,
  fillRoom,
  openConnections,
  registerUsers,
  type Room,
} from "../load/population.ts";
import { memberAt } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUpSending } from "../load/warm-up.ts";
import { bySize, type Workload } from "./workload.ts";

const MEMBERS = 50;
const PER_SECOND = 20;

/** W3: from the moment a user presses Enter to the moment each member has the message. */
export const sendToSyncLatency: Workload = {
  id: "W3",
  title: "send to sync, room of 50, 20 messages a second, open loop",
  cases: new Map([["W3/50", "S"]]),
  run,
};

async function run(stage: Stage, [id = "W3/50"]: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w3-", MEMBERS);
  await warmUpSending(stage, connections, users.slice(0, 10));
  const room = await fillRoom(connections.lane(0), users);
  const synced = await firstSyncs(connections, room);

  const intended = new Map<number, number>();
  const latencies: number[] = [];
  const pollers = await startAudience(stage.target, synced, (marks, atMs) => {
    for (const mark of marks) latencies.push(atMs - (intended.get(mark) ?? Number.NaN));
  });
  const seconds = bySize(stage.size, [20, 120, 600]);
  const arrivals = poissonArrivals({ perSecond: PER_SECOND, seconds }, seededRandom(3));
  const sent: number[] = [];
  // The first two seconds are for caches and compilers; they are checked, not measured.
  const before = poissonArrivals({ perSecond: PER_SECOND, seconds: 2 }, seededRandom(4));
  const send = senderOf({ connections, room, intended, sent });
  await openLoop(before, async (index, at) => await send(index, at));
  await untilAllSaw(pollers, before.length);
  latencies.length = 0;

  const measurement = await measure(stage, id, {
    operations: arrivals.length,
    connections: withPollers(connections, pollers),
    run: async () => {
      await openLoop(arrivals, async (index, at) => await send(before.length + index, at));
      await untilAllSaw(pollers, sent.length);
      return latencies;
    },
  });
  await check(pollers, sent);
  await stage.report(measurement);
  connections.close();
}

type Sending = {
  readonly connections: Connections;
  readonly room: Room;
  readonly intended: Map<number, number>;
  readonly sent: number[];
};

/** Each message goes over a connection that is free: a slow answer holds nobody up. */
function senderOf({ connections, room, intended, sent }: Sending) {
  const free: number[] = [];
  let lanes = 0;
  return async (index: number, intendedMs: number): Promise<void> => {
    const lane = free.pop() ?? lanes++;
    // Independent of each other: no order is promised between two that overlap.
    const mark = { stream: index, ordinal: 0 };
    intended.set(markNumber(mark), intendedMs);
    await putEvent(connections.lane(lane), memberAt(room, index), {
      roomId: room.roomId,
      path: `send/m.room.message/${newTransactionId()}`,
      content: messageContent(mark),
    });
    sent.push(markNumber(mark));
    free.push(lane);
  };
}

async function check(pollers: readonly LongPoller[], sent: readonly number[]): Promise<void> {
  await Promise.all(pollers.map(async (poller) => await poller.stop()));
  refuseFaults(
    deliveryFaults(
      sent,
      pollers.map(({ seen }) => seen),
    ),
  );
}
