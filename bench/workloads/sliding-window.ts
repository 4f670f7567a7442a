import { z } from "zod";
import { closedLoop } from "../load/arrivals.ts";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, putEvent, newTransactionId, slidingSync } from "../load/matrix-client.ts";
import { type Connections, fillRooms, openConnections, registerUsers } from "../load/population.ts";
import { type LoadedRoom, sendMessages } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { numberAt, type Workload } from "./workload.ts";

const MEMBERS = 5;
const MESSAGES_PER_ROOM = 5;
const WINDOW = 20;
const TIMES = 50;
const WARM_UP = 20;

/** What clients of today ask for when they are opened. */
const BODY = JSON.stringify({
  conn_id: "room-list",
  lists: {
    all_rooms: {
      ranges: [[0, WINDOW - 1]],
      timeline_limit: 1,
      required_state: [
        ["m.room.name", ""],
        ["m.room.encryption", ""],
        ["m.room.member", "$LAZY"],
        ["m.room.member", "$ME"],
        ["m.room.topic", ""],
        ["m.room.canonical_alias", ""],
        ["m.room.power_levels", ""],
        ["m.space.parent", "*"],
        ["m.space.child", "*"],
        ["org.matrix.msc3401.call.member", "*"],
        ["m.room.tombstone", ""],
        ["m.room.create", ""],
        ["m.room.history_visibility", ""],
        ["io.element.functional_members", ""],
      ],
      filters: { not_room_types: ["m.space"] },
    },
  },
  extensions: {
    account_data: { enabled: true },
    receipts: { enabled: true },
    typing: { enabled: true },
  },
});

/** W5: the window that a client of sliding sync shows first, and what follows one message. */
export const slidingWindow: Workload = {
  id: "W5s",
  title: "sliding window",
  cases: new Map([
    ["W5s/51", "S"],
    ["W5s/201", "M"],
    ["W5s/1001", "L"],
  ]),
  run,
};

const answered = z.object({
  rooms: z.record(z.string(), z.object({ timeline: z.array(z.unknown()) })),
});

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w5s-", MEMBERS);
  const [reader, sender] = users;
  if (!reader || !sender) throw new Error("Nobody could be registered.");
  const rooms: string[] = [];
  for (const id of cases) {
    rooms.push(...(await addRooms(connections, users, numberAt(id, 1) - rooms.length)));
    await closedLoop({ count: WARM_UP, inFlight: 1 }, async () => {
      await slidingSync(connections.lane(0), reader, { body: BODY });
    });
    await measureFirst(stage, `${id}/first`, connections, reader);
    await measureNext(stage, `${id}/next`, { connections, reader, sender, rooms });
  }
  connections.close();
}

async function addRooms(
  connections: Connections,
  users: readonly Account[],
  count: number,
): Promise<readonly string[]> {
  const made = await fillRooms(connections, count, () => users);
  const loaded = made.map((room): LoadedRoom => ({ room, sent: new Map(), readers: [] }));
  await sendMessages(connections, { rooms: loaded, count: count * MESSAGES_PER_ROOM, inFlight: 8 });
  return made.map((it) => it.roomId);
}

/** Somebody opens their client: the first answer of a connection. */
async function measureFirst(
  stage: Stage,
  id: string,
  connections: Connections,
  reader: Account,
): Promise<void> {
  const latencies: number[] = [];
  const answers: Buffer[] = [];
  const measurement = await measure(stage, id, {
    operations: TIMES,
    connections,
    run: async () => {
      for (let index = 0; index < TIMES; index++) {
        const start = performance.now();
        answers.push((await slidingSync(connections.lane(0), reader, { body: BODY })).body);
        latencies.push(performance.now() - start);
      }
      return latencies;
    },
  });
  for (const it of answers) {
    if (roomsIn(it).length !== WINDOW) throw new DeliveryError("a window has not all of its rooms");
  }
  await stage.report(measurement);
}

type Followed = {
  readonly connections: Connections;
  readonly reader: Account;
  readonly sender: Account;
  readonly rooms: readonly string[];
};

/** What a client is told when somebody has said something in one of its rooms. The saying is not counted as an operation. */
async function measureNext(
  stage: Stage,
  id: string,
  { connections, reader, sender, rooms }: Followed,
): Promise<void> {
  const latencies: number[] = [];
  let { pos } = await slidingSync(connections.lane(0), reader, { body: BODY });
  const measurement = await measure(stage, id, {
    operations: TIMES,
    connections,
    run: async () => {
      for (let index = 0; index < TIMES; index++) {
        const roomId = rooms[index % rooms.length] ?? "";
        await putEvent(connections.lane(1), sender, {
          roomId,
          path: `send/m.room.message/${newTransactionId()}`,
          content: JSON.stringify({ msgtype: "m.text", body: "hello" }),
        });
        const start = performance.now();
        const answer = await slidingSync(connections.lane(0), reader, { body: BODY, pos });
        latencies.push(performance.now() - start);
        ({ pos } = answer);
        const isTold = roomsIn(answer.body).includes(roomId);
        if (!isTold) throw new DeliveryError("a message is not told");
      }
      return latencies;
    },
  });
  await stage.report(measurement);
}

function roomsIn(body: Buffer): string[] {
  return Object.keys(answered.parse(JSON.parse(body.toString())).rooms);
}
