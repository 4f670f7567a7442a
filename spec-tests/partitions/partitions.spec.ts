import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isOutside } from "../homeserver-under-test.ts";
import { lacks } from "../needs.ts";
import { openStage, type Stage } from "./stage.ts";
import { runTrial } from "./trial.ts";

/** Enough to notice what goes wrong often; `run.ts` runs as many as one wants. */
const RUNS = process.env["CI"] ? 50 : 3;

/** Other runs each time, which the name of a failed test tells how to repeat. */
const SEED = Number(process.env["PARTITIONS_SEED"] ?? Date.now() % 1_000_000);

let stage: Stage;

describe.skipIf(isOutside || (await lacks("synapse")))(
  "after the network was cut and healed all servers have the same",
  () => {
    beforeAll(async () => {
      stage = await openStage();
    }, 240_000);
    afterAll(async () => await stage?.close());

    const seeds = Array.from({ length: RUNS }, (_, index) => SEED + index);

    test.each(seeds)(
      "node spec-tests/partitions/run.ts --runs 1 --seed %s",
      async (seed) => {
        const { faults } = await runTrial(stage, seed);
        expect(faults).toEqual([]);
      },
      150_000,
    );
  },
);
