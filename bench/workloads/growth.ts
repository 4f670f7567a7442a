import { sendMixed } from "../load/mixed-load.ts";
import { fillRooms, openConnections, registerUsers } from "../load/population.ts";
import { checkRoom, type LoadedRoom, openRoom } from "../load/send-load.ts";
import { measure, type Stage } from "../load/stage.ts";
import { numberAt, type Workload } from "./workload.ts";

const ROOMS = 20;
const MEMBERS = 10;
const IN_FLIGHT = 32;

/** W16: what an event takes on disk, of a mixture as real rooms have it. */
export const growth: Workload = {
  id: "W16",
  title: "growth, mixed events over 20 rooms",
  cases: new Map([
    ["W16/10000", "S"],
    ["W16/100000", "M"],
    ["W16/1000000", "L"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "w16-", MEMBERS);
  for (const id of cases) {
    const rooms: LoadedRoom[] = [];
    for (const room of await fillRooms(connections, ROOMS, () => users)) {
      rooms.push(await openRoom(connections, room));
    }
    const count = numberAt(id, 1);
    const before = await stage.databaseBytes();
    const measurement = await measure(stage, id, {
      operations: count,
      connections,
      run: async () => await sendMixed(connections, { rooms, count, inFlight: IN_FLIGHT }),
    });
    const after = await stage.databaseBytes();
    for (const loaded of rooms) await checkRoom(connections, loaded);
    await stage.report({
      ...measurement,
      figures: { databaseBytesPerEvent: (after - before) / count },
    });
  }
  connections.close();
}
