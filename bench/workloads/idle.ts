import { setTimeout as sleep } from "node:timers/promises";
import { fillRoom, openConnections, registerUsers } from "../load/population.ts";
import { measure, type Stage } from "../load/stage.ts";
import { bySize, type Workload } from "./workload.ts";

/** What a server still does for those who were there is over after so long. */
const REST_MS = 25_000;

/** W18: what a server takes that has nothing to do. One operation is one second. */
export const idle: Workload = {
  id: "W18",
  title: "idle, each second",
  cases: new Map([["W18/idle", "S"]]),
  run,
};

async function run(stage: Stage, [id = "W18/idle"]: readonly string[]): Promise<void> {
  const connections = openConnections(stage.target);
  const users = await registerUsers(connections, "idle-", 5);
  await fillRoom(connections.lane(0), users);
  connections.close();
  await sleep(REST_MS);
  const seconds = bySize(stage.size, [10, 60, 600]);
  const measurement = await measure(stage, id, {
    operations: seconds,
    connections,
    run: async () => {
      await sleep(seconds * 1000);
      return undefined;
    },
  });
  const { serverBytes, postgresBytes } = await stage.memory();
  await stage.report({
    ...measurement,
    figures: { serverBytes, postgresBytes, memoryBytes: serverBytes + postgresBytes },
  });
}
