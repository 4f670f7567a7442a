import { fillRoom, openConnections, registerUsers } from "../load/population.ts";
import { checkRoom, openRoom, sendMessages } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUpSending } from "../load/warm-up.ts";
import { bySize, numberAt, type Workload } from "./workload.ts";

/** W1: messages to one room, as its size and the number of senders at once vary. */
export const sendOneRoom: Workload = {
  id: "W1",
  title: "send to one room",
  cases: new Map([
    ["W1/10/c1", "S"],
    ["W1/10/c8", "S"],
    ["W1/10/c32", "S"],
    ["W1/100/c8", "S"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const largest = Math.max(...cases.map((id) => numberAt(id, 1)));
  const users = await registerUsers(connections, "w1-", largest);
  const count = bySize(stage.size, [500, 5_000, 50_000]);
  await warmUpSending(stage, connections, users.slice(0, 10));
  for (const id of cases) {
    const members = users.slice(0, numberAt(id, 1));
    const loaded = await openRoom(connections, await fillRoom(connections.lane(0), members));
    const inFlight = numberAt(id, 2);
    const measurement = await measure(stage, id, {
      operations: count,
      connections,
      run: async () => await sendMessages(connections, { rooms: [loaded], count, inFlight }),
    });
    await checkRoom(connections, loaded);
    await stage.report(measurement);
  }
  connections.close();
}
