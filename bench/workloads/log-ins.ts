import { z } from "zod";
import { closedLoop, openLoop, poissonArrivals, seededRandom } from "../load/arrivals.ts";
import { DeliveryError } from "../load/delivery.ts";
import { type Account, ask, logIn, newTransactionId, putEvent } from "../load/matrix-client.ts";
import { messageContent } from "../load/payloads.ts";
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
import { numberAt, type Workload } from "./workload.ts";

const USERS = 20;
const LOGGING_IN = 32;

/** Messages a second that others send meanwhile. */
const PER_SECOND = 20;

/** W10: many log in at once, with passwords that are hashed as they should be. The times are those of others, who send messages. */
export const logIns: Workload = {
  id: "W10",
  title: "log-ins, and others meanwhile",
  beyondNull: true,
  passwordCost: "usual",
  cases: new Map([
    ["W10/100", "S"],
    ["W10/500", "M"],
    ["W10/2000", "L"],
  ]),
  run,
};

const whoami = z.object({ user_id: z.string(), device_id: z.string() });

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const others = openConnections(stage.target);
  const users = await registerUsers(connections, "w10-", USERS);
  const room = await fillRoom(connections.lane(0), users);
  await warmUpSending(stage, others, users);
  for (const id of cases) {
    const count = numberAt(id, 1);
    const devices: Account[] = [];
    const measurement = await measure(stage, id, {
      operations: count,
      connections,
      run: async () => {
        const ended = new AbortController();
        const sending = sendUntil(ended.signal, others, room);
        await closedLoop({ count, inFlight: LOGGING_IN }, async (index, lane) => {
          const { userId } = memberAt(room, index);
          devices[index] = await logIn(connections.lane(lane), userId);
        });
        ended.abort();
        return await sending;
      },
    });
    await check(connections, devices);
    await stage.report(measurement);
  }
  connections.close();
  others.close();
}

/** @returns how long each message took, from the moment at which it was to be sent. */
async function sendUntil(
  end: AbortSignal,
  connections: Connections,
  room: Room,
): Promise<number[]> {
  const times: number[] = [];
  const free: number[] = [];
  let lanes = 0;
  const arrivals = poissonArrivals({ perSecond: PER_SECOND, seconds: 3600 }, seededRandom(10));
  const send = async (index: number, intendedMs: number) => {
    const lane = free.pop() ?? lanes++;
    await putEvent(connections.lane(lane), memberAt(room, index), {
      roomId: room.roomId,
      path: `send/m.room.message/${newTransactionId()}`,
      content: messageContent({ stream: 0, ordinal: index }),
    });
    times.push(performance.now() - intendedMs);
    free.push(lane);
  };
  await openLoop(arrivals, send, end);
  return times;
}

/** Each log-in has given a device of its own, with a token that is good. */
async function check(connections: Connections, devices: readonly Account[]): Promise<void> {
  const seen = new Set<string>();
  await closedLoop({ count: devices.length, inFlight: 4 }, async (index, lane) => {
    const account = devices[index];
    if (account === undefined) return;
    const asked = { method: "GET", path: "/account/whoami", account } as const;
    const answer = await ask(connections.lane(lane), asked);
    const { user_id, device_id } = whoami.parse(JSON.parse(answer.toString()));
    if (user_id !== account.userId) throw new DeliveryError("a log-in gave another's token");
    seen.add(device_id);
  });
  if (seen.size !== devices.length) throw new DeliveryError("two log-ins gave one device");
}
