import { z } from "zod";
import { closedLoop } from "../load/arrivals.ts";
import { DeliveryError } from "../load/delivery.ts";
import { ask, createRoom } from "../load/matrix-client.ts";
import { openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { warmUp } from "../load/warm-up.ts";
import { bySize, type Workload } from "./workload.ts";

const joinedRooms = z.object({ joined_rooms: z.array(z.string()) });

/** Making rooms, one after another. */
export const makeRooms: Workload = {
  id: "createRoom",
  title: "createRoom",
  cases: new Map([["createRoom/c1", "S"]]),
  run,
};

async function run(stage: Stage, [id = "createRoom/c1"]: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const [maker, other] = await registerUsers(connections, "rooms-", 2);
  if (maker === undefined || other === undefined) throw new Error("Nobody could be registered.");
  await warmUp(stage.size, async (_, lane) => {
    await createRoom(connections.lane(lane), other);
  });
  const count = bySize(stage.size, [50, 500, 2_000]);
  const made = new Set<string>();
  const times: number[] = [];
  const measurement = await measure(stage, id, {
    operations: count,
    connections,
    run: async () => {
      await closedLoop({ count, inFlight: 1 }, async (_, lane) => {
        const start = performance.now();
        made.add(await createRoom(connections.lane(lane), maker));
        times.push(performance.now() - start);
      });
      return times;
    },
  });
  const answer = await ask(connections.lane(0), {
    method: "GET",
    path: "/joined_rooms",
    account: maker,
  });
  const joined = new Set(joinedRooms.parse(JSON.parse(answer.toString())).joined_rooms);
  if (made.size !== count || made.symmetricDifference(joined).size > 0) {
    throw new DeliveryError(
      `of ${count} rooms made, ${made.size} differ, ${joined.size} are there`,
    );
  }
  await stage.report(measurement);
  connections.close();
}
