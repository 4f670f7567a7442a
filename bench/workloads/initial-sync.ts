import { z } from "zod";
import { closedLoop } from "../load/arrivals.ts";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, sync } from "../load/matrix-client.ts";
import { type Connections, fillRooms, openConnections, registerUsers } from "../load/population.ts";
import { type LoadedRoom, sendMessages } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { numberAt, type Workload } from "./workload.ts";

const MEMBERS = 5;
const MESSAGES_PER_ROOM = 15;
const AGAIN = 5;
const WARM_UP = 60;

/** What most clients ask for at their first sync. */
const FILTER = JSON.stringify({
  room: { timeline: { limit: 20 }, state: { lazy_load_members: true } },
});

/** W5: the first sync of somebody who is in many rooms, just after the server has started, and again. */
export const initialSync: Workload = {
  id: "W5",
  title: "initial sync",
  cases: new Map([
    ["W5/51", "S"],
    ["W5/201", "M"],
    ["W5/1001", "L"],
  ]),
  run,
};

const body = z.object({
  rooms: z.object({
    join: z.record(z.string(), z.object({ timeline: z.object({ events: z.array(z.unknown()) }) })),
  }),
});

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w5-", MEMBERS);
  const others = await registerUsers(connections, "w5-other-", MEMBERS);
  const [reader] = users;
  const [other] = others;
  if (!reader || !other) throw new Error("Nobody could be registered.");
  await addRooms(connections, others, 3);
  let there = 0;
  for (const id of cases) {
    const count = numberAt(id, 1);
    await addRooms(connections, users, count - there);
    there = count;
    await stage.restart();
    // So that the programs are warm, and what they know of the reader's rooms is not.
    await closedLoop({ count: WARM_UP, inFlight: 1 }, async () => {
      await sync(connections.lane(0), other, { filter: FILTER });
    });
    await measureSyncs(stage, `${id}/cold`, { connections, reader, rooms: count, times: 1 });
    await measureSyncs(stage, `${id}/again`, { connections, reader, rooms: count, times: AGAIN });
  }
  connections.close();
}

async function addRooms(
  connections: Connections,
  users: readonly Account[],
  count: number,
): Promise<void> {
  const made = await fillRooms(connections, count, () => users);
  const rooms = made.map((room): LoadedRoom => ({ room, sent: new Map(), readers: [] }));
  await sendMessages(connections, { rooms, count: count * MESSAGES_PER_ROOM, inFlight: 8 });
}

type Syncs = {
  readonly connections: Connections;
  readonly reader: Account;
  readonly rooms: number;
  readonly times: number;
};

async function measureSyncs(
  stage: Stage,
  id: string,
  { connections, reader, rooms, times }: Syncs,
): Promise<void> {
  const answers: Buffer[] = [];
  const latencies: number[] = [];
  const measurement = await measure(stage, id, {
    operations: times,
    connections,
    run: async () => {
      for (let index = 0; index < times; index++) {
        const start = performance.now();
        answers.push((await sync(connections.lane(0), reader, { filter: FILTER })).body);
        latencies.push(performance.now() - start);
      }
      return latencies;
    },
  });
  for (const answer of answers) checkAnswer(answer, rooms);
  await stage.report(measurement);
}

function checkAnswer(answer: Buffer, rooms: number): void {
  const { join } = body.parse(JSON.parse(answer.toString())).rooms;
  const timelines = Object.values(join).map(({ timeline }) => timeline.events.length);
  if (timelines.length !== rooms) {
    throw new DeliveryError(`an initial sync had ${timelines.length} of ${rooms} rooms`);
  }
  if (timelines.some((length) => length < MESSAGES_PER_ROOM)) {
    throw new DeliveryError("an initial sync left out messages that its limit allows");
  }
}
