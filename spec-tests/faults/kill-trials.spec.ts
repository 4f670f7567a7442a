import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isOutside } from "../homeserver-under-test.ts";
import { openStage, type Stage } from "./stage.ts";
import { type Memory, runTrial } from "./trial.ts";

/** Enough to notice what goes wrong often; `kill-trials.ts` runs as many as one wants. */
const TRIALS = process.env["CI"] ? 30 : 3;

/** A run of its own each time, which the name of a failed test tells how to repeat. */
const SEED = Number(process.env["KILL_SEED"] ?? Date.now() % 1_000_000);

let stage: Stage;
const earlier: Memory[] = [];

// What is killed is found in /proc.
describe.skipIf(isOutside || process.platform !== "linux")(
  "what was answered is kept, exactly once, whatever is killed",
  () => {
    beforeAll(async () => {
      stage = await openStage({ processes: 1 });
    }, 120_000);
    afterAll(async () => await stage.close());

    const seeds = Array.from({ length: TRIALS }, (_, index) => SEED + index);

    test.each(seeds)(
      "node spec-tests/faults/kill-trials.ts --trials 1 --seed %s",
      async (seed) => {
        const { faults, memory } = await runTrial(stage, seed, earlier);
        earlier.push(memory);
        expect(faults).toEqual([]);
      },
      90_000,
    );
  },
);
