/**
 * Kills processes of running servers, again and again, and checks each time that nothing that was answered is lost:
 *
 *     node spec-tests/faults/kill-trials.ts --trials 1000 [--seed N] [--processes 1|3] [--database-url postgres://...]
 *
 * Without `--database-url` the PostgreSQL is one of our own, and its processes are killed too. Linux only. Ends with
 * status 1 after a trial with faults, and says how to repeat it.
 */
import { inspect, parseArgs } from "node:util";
import { openStage } from "./stage.ts";
import { type Memory, runTrial } from "./trial.ts";

const { values } = parseArgs({
  options: {
    trials: { type: "string", default: "1000" },
    seed: { type: "string" },
    processes: { type: "string", default: "1" },
    "database-url": { type: "string" },
  },
});
const trials = Number(values.trials);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const processes = Number(values.processes);

/** How long everything may take to be well again, on a machine that has nothing else to do. */
const MOST_RECOVERY_MS = 10_000;

const stage = await openStage({ processes, databaseUrl: values["database-url"] });
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(1)));
}
const earlier: Memory[] = [];
const say = (line: string) => process.stdout.write(`${line}\n`);
try {
  for (let count = 0; count < trials && process.exitCode === undefined; count++) {
    const begun = performance.now();
    const result = await runTrial(stage, seed + count, earlier).catch((error: unknown) => {
      say(`${count + 1}/${trials} seed ${seed + count}: ${inspect(error)}`);
      process.exitCode = 1;
    });
    if (!result) break;
    earlier.push(result.memory);
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    say(
      `${count + 1}/${trials} seed ${seed + count}: ${result.struck}; well again after ` +
        `${result.recoveryMs.toFixed(0)} ms; ${result.events} events, ${result.unknown} repeated ` +
        `without an answer; ${seconds} s`,
    );
    const late = result.recoveryMs > MOST_RECOVERY_MS ? ["it took too long to be well again"] : [];
    const faults = [...result.faults, ...late];
    for (const fault of faults) say(`  FAULT ${fault}`);
    if (faults.length > 0) process.exitCode = 1;
  }
} finally {
  await stage.close();
}
if (process.exitCode === undefined) say(`${trials} trials, no faults`);
