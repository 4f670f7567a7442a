/**
 * Cuts and heals the network between three homeservers of ours and a Synapse, again and again, and checks each time that
 * all have the same afterwards:
 *
 *     node spec-tests/partitions/run.ts --runs 1000 [--seed N] [--at-once 2] [--processes 2] [--keep-going]
 *
 * Ends with status 1 after a run with differences, and says what they are and how to repeat it. What depends on the time is another each
 * time; the rest is the same again. Some runs can be made at once: each has rooms and users of its own. Each of ours can be several
 * processes on one database, which get requests in turn.
 */
import { inspect, parseArgs } from "node:util";
import { openStage } from "./stage.ts";
import { runTrials } from "./trial.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string" },
    "at-once": { type: "string", default: "1" },
    processes: { type: "string", default: "1" },
    "keep-going": { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const atOnce = Number(values["at-once"]);
const seed = Number(values.seed ?? Date.now() % 1_000_000);

const say = (line: string) => process.stdout.write(`${line}\n`);
const stage = await openStage({ processes: Number(values.processes) });
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(1)));
}
try {
  for (let count = 0; count < runs; count += atOnce) {
    await runSome(count, Math.min(atOnce, runs - count));
    if (process.exitCode !== undefined && !values["keep-going"]) break;
  }
} finally {
  await stage.close();
}
if (process.exitCode === undefined) say(`${runs} runs, no differences`);

async function runSome(first: number, count: number): Promise<void> {
  const begun = performance.now();
  const seeds = Array.from({ length: count }, (_, index) => seed + first + index);
  const name = (index: number) => `${first + index + 1}/${runs} seed ${seed + first + index}`;
  try {
    for (const [index, result] of (await runTrials(stage, seeds)).entries()) {
      const { deeds, healingMs, sendingMs, lostBySynapse, softFailed, faults } = result;
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      say(
        `${name(index)}: ${deeds} events taken, ours told after ${sendingMs.toFixed(0)} ms, ` +
          `all agree after ${healingMs.toFixed(0)} ms; ` +
          `${softFailed} soft-failed somewhere, ${lostBySynapse} lost by Synapse; ${seconds} s`,
      );
      for (const fault of faults) say(`  FAULT ${fault}`);
      if (faults.length > 0) process.exitCode = 1;
    }
  } catch (error) {
    say(`${name(0)}: ${inspect(error)}`);
    process.exitCode = 1;
  }
}
