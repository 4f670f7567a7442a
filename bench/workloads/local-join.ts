import { z } from "zod";
import { closedLoop } from "../load/arrivals.ts";
import { DeliveryError } from "../load/delivery.ts";
import { ask, joinRoom } from "../load/matrix-client.ts";
import { fillRoom, openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { bySize, numberAt, type Workload } from "./workload.ts";

const joinedMembers = z.object({ joined: z.record(z.string(), z.unknown()) });

/** Joins to a room of this server, one after another. */
export const localJoin: Workload = {
  id: "join",
  title: "local join",
  cases: new Map([
    ["join/c1", "S"],
    ["join/c8", "M"],
  ]),
  run,
};

async function run(stage: Stage, cases: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const count = bySize(stage.size, [100, 500, 2_000]);
  const users = await registerUsers(connections, "join-", count);
  const [maker] = users;
  if (maker === undefined) throw new Error("Nobody could be registered.");
  const first = await fillRoom(connections.lane(0), [maker]);
  for (const user of users) await joinRoom(connections.lane(0), user, first.roomId);
  for (const id of cases) {
    const { roomId } = await fillRoom(connections.lane(0), [maker]);
    const joining = users.slice(1);
    const times: number[] = [];
    const measurement = await measure(stage, id, {
      operations: joining.length,
      connections,
      run: async () => {
        const inFlight = numberAt(id, 1);
        await closedLoop({ count: joining.length, inFlight }, async (index, lane) => {
          const start = performance.now();
          const user = joining[index];
          if (user !== undefined) await joinRoom(connections.lane(lane), user, roomId);
          times.push(performance.now() - start);
        });
        return times;
      },
    });
    const path = `/rooms/${encodeURIComponent(roomId)}/joined_members`;
    const answer = await ask(connections.lane(0), { method: "GET", path, account: maker });
    const { joined } = joinedMembers.parse(JSON.parse(answer.toString()));
    if (Object.keys(joined).length !== users.length) {
      throw new DeliveryError(`${Object.keys(joined).length} of ${users.length} are in the room`);
    }
    await stage.report(measurement);
  }
  connections.close();
}
