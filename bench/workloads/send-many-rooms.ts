import { fillRooms, openConnections, registerUsers } from "../load/population.ts";
import { checkRoom, type LoadedRoom, openRoom, sendMessages } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUpSending } from "../load/warm-up.ts";
import { bySize, numberAt, type Workload } from "./workload.ts";

const MEMBERS = 3;
const IN_FLIGHT = 32;

/** W2: messages over many rooms, 32 in flight. */
export const sendManyRooms: Workload = {
  id: "W2",
  title: "send over many rooms",
  cases: new Map([
    ["W2/20", "S"],
    ["W2/200", "M"],
    ["W2/1000", "L"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w2-", MEMBERS);
  await warmUpSending(stage, connections, users);
  for (const id of cases) {
    const made = await fillRooms(connections, numberAt(id, 1), () => users);
    const rooms: LoadedRoom[] = [];
    for (const room of made) rooms.push(await openRoom(connections, room));
    const count = bySize(stage.size, [500, 5_000, 50_000]);
    const measurement = await measure(stage, id, {
      operations: count,
      connections,
      run: async () => await sendMessages(connections, { rooms, count, inFlight: IN_FLIGHT }),
    });
    for (const loaded of rooms) await checkRoom(connections, loaded);
    await stage.report(measurement);
  }
  connections.close();
}
