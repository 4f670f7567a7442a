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
import { bySize, numberAt, type Workload } from "./workload.ts";

/** Messages before those that are measured. */
const FIRST = 5;

/** W4: one message to very many who wait for it. */
export const fanOut: Workload = {
  id: "W4",
  title: "fan-out to long-pollers, each delivery",
  cases: new Map([
    ["W4/100", "S"],
    ["W4/1000", "M"],
    ["W4/5000", "L"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const largest = Math.max(...cases.map((id) => numberAt(id, 1)));
  const users = await registerUsers(connections, "w4-", largest);
  await warmUpSending(stage, connections, users.slice(0, 10));
  for (const id of cases) {
    const room = await fillRoom(connections.lane(0), users.slice(0, numberAt(id, 1)));
    await runCase(stage, id, { connections, room });
  }
  connections.close();
}

async function runCase(
  stage: Stage,
  id: string,
  { connections, room }: { readonly connections: Connections; readonly room: Room },
): Promise<void> {
  const messages = bySize(stage.size, [20, 100, 100]);
  const synced = await firstSyncs(connections, room);
  const before = await stage.memory();
  const pollers = await startAudience(stage.target, synced);
  const after = await stage.memory();

  const sent: number[] = [];
  const times: number[] = [];
  const sendOne = async (index: number) => {
    const mark = { stream: 0, ordinal: index };
    const start = performance.now();
    await putEvent(connections.lane(0), memberAt(room, index), {
      roomId: room.roomId,
      path: `send/m.room.message/${newTransactionId()}`,
      content: messageContent(mark),
    });
    sent.push(markNumber(mark));
    await untilAllSaw(pollers, sent.length);
    times.push(performance.now() - start);
  };
  for (let index = 0; index < FIRST; index++) await sendOne(index);
  times.length = 0;

  const measurement = await measure(stage, id, {
    operations: messages * pollers.length,
    connections: withPollers(connections, pollers),
    run: async () => {
      for (let index = 0; index < messages; index++) await sendOne(FIRST + index);
      return times;
    },
  });
  await check(pollers, sent);
  await stage.report({
    ...measurement,
    figures: {
      rssBytesPerConnection: (after.serverRssBytes - before.serverRssBytes) / pollers.length,
    },
  });
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
