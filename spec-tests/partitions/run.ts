/**
 * Cuts and heals the network between three homeservers of ours and a Synapse, again and again, and checks each time that
 * all have the same afterwards:
 *
 *     node spec-tests/partitions/run.ts --runs 1000 [--seed N] [--keep-going]
 *
 * Ends with status 1 after a run with differences, and says what they are and how to repeat it. What depends on the time is another each
 * time; the rest is the same again.
 */
import { inspect, parseArgs } from "node:util";
import { openStage } from "./stage.ts";
import { runTrial } from "./trial.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    seed: { type: "string" },
    "keep-going": { type: "boolean", default: false },
  },
});
const runs = Number(values.runs);
const seed = Number(values.seed ?? Date.now() % 1_000_000);

const say = (line: string) => process.stdout.write(`${line}\n`);
const stage = await openStage();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void stage.close().finally(() => process.exit(1)));
}
try {
  for (let count = 0; count < runs; count++) {
    await runOne(count);
    if (process.exitCode !== undefined && !values["keep-going"]) break;
  }
} finally {
  await stage.close();
}
if (process.exitCode === undefined) say(`${runs} runs, no differences`);

async function runOne(count: number): Promise<void> {
  const begun = performance.now();
  const name = `${count + 1}/${runs} seed ${seed + count}`;
  try {
    const result = await runTrial(stage, seed + count);
    const { deeds, healingMs, sendingMs, lostBySynapse, softFailed, faults } = result;
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    say(
      `${name}: ${deeds} events taken, ours told after ${sendingMs.toFixed(0)} ms, ` +
        `all agree after ${healingMs.toFixed(0)} ms; ` +
        `${softFailed} soft-failed somewhere, ${lostBySynapse} lost by Synapse; ${seconds} s`,
    );
    for (const fault of faults) say(`  FAULT ${fault}`);
    if (faults.length > 0) process.exitCode = 1;
  } catch (error) {
    say(`${name}: ${inspect(error)}`);
    process.exitCode = 1;
  }
}
