/** The process that makes the load of one workload: `node bench/load/main.ts '{"workload":"W1",…}'`. */
import { z } from "zod";
import { WORKLOADS } from "../workloads/all.ts";
import { remoteStage } from "./remote-stage.ts";

const orders = z.object({
  workload: z.string(),
  cases: z.array(z.string()),
  size: z.enum(["S", "M", "L"]),
  target: z.object({ host: z.string(), port: z.number() }),
  federation: z.object({ serverName: z.string(), certFile: z.string(), keyFile: z.string() }),
});

const { workload, cases, ...about } = orders.parse(JSON.parse(process.argv[2] ?? "{}"));
const chosen = WORKLOADS.find(({ id }) => id === workload);
if (chosen === undefined) throw new Error(`There is no workload ${workload}.`);
try {
  await chosen.run(remoteStage(about), cases);
  process.exit(0);
} catch (error) {
  process.stderr.write(
    `${workload}: ${error instanceof Error ? `${error.name}: ${error.message}` : "?"}\n`,
  );
  process.exit(1);
}
