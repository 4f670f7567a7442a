import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isOutside } from "../homeserver-under-test.ts";
import { lacks } from "../needs.ts";
import { PROCESSES } from "../shared-homeservers.ts";
import { openStage, type Stage } from "./stage.ts";
import { runTrials } from "./trial.ts";

/** As many as can be waited for. The seeds are the same each time, so that they tell what a change breaks; `run.ts` makes others. */
const RUNS = process.env["CI"] ? (PROCESSES === 1 ? 50 : 12) : 2;
const SEED = Number(process.env["PARTITIONS_SEED"] ?? 674_595);

/** How many are made at once: most of the time of each is waiting. */
const AT_ONCE = 4;

/** After this long no more are begun than this: a machine that needs it has too much else to do. */
const BUDGET_MS = 15 * 60_000;
const LEAST_RUNS = 10;

let stage: Stage;
let begun: number;

describe.skipIf(isOutside || (await lacks("synapse")))(
  "after the network was cut and healed all servers have the same",
  () => {
    beforeAll(async () => {
      stage = await openStage({ processes: PROCESSES });
      begun = performance.now();
    }, 240_000);
    afterAll(async () => await stage?.close());

    const groups = Array.from({ length: Math.ceil(RUNS / AT_ONCE) }, (_, index) => {
      const count = Math.min(AT_ONCE, RUNS - index * AT_ONCE);
      return { count, seed: SEED + index * AT_ONCE };
    });

    test.for(groups)(
      `node spec-tests/partitions/run.ts --processes ${PROCESSES} --runs $count --at-once $count --seed $seed`,
      { timeout: 600_000 },
      async ({ count, seed }, { skip }) => {
        skip(seed >= SEED + LEAST_RUNS && performance.now() > begun + BUDGET_MS, "takes too long");
        const seeds = Array.from({ length: count }, (_, index) => seed + index);
        const results = await runTrials(stage, seeds);
        expect(results.map((it) => it.faults)).toEqual(seeds.map(() => []));
      },
    );
  },
);
