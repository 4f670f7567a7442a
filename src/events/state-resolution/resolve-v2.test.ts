import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EventId } from "#src/kit/identifiers.ts";
import { runSteps } from "#src/kit/steps.ts";
import type { StateKey } from "../pdu.ts";
import { authDifference } from "./auth-difference.ts";
import { conflictedSubgraph } from "./conflicted-subgraph.ts";
import { splitConflicts } from "./conflicts.ts";
import { resolveV2 } from "./resolve-v2.ts";
import {
  capriciousRules,
  naiveAuthDifference,
  naiveResolve,
  naiveSubgraph,
  type RandomForks,
  randomForks,
} from "./testing.ts";

const RUNS = { numRuns: 2_000 };

function resolve({ graph, stateSets }: RandomForks, v21: boolean): Map<StateKey, EventId> {
  const split = splitConflicts(stateSets, { stateResolution: "v2" });
  const { forks, conflicted, unconflicted } = split;
  const difference = authDifference({ forks, shared: () => unconflicted.values(), graph });
  const resolved = resolveV2(
    { conflicted, unconflicted: (key) => unconflicted.get(key), authDifference: difference, graph },
    { v21, ...capriciousRules },
  );
  return new Map([...unconflicted, ...runSteps(resolved)]);
}

const inOrder = (map: ReadonlyMap<StateKey, EventId>): [StateKey, EventId][] =>
  [...map].toSorted(([x], [y]) => (x < y ? -1 : 1));

describe.each([
  ["v2", false],
  ["v2.1", true],
])("state resolution %s", (_, v21) => {
  test("is what the specification's text says", () => {
    fc.assert(
      fc.property(randomForks, (forks) => {
        const naive = naiveResolve(forks.stateSets, forks.graph, { v21, ...capriciousRules });
        expect(inOrder(resolve(forks, v21))).toEqual(inOrder(naive));
      }),
      RUNS,
    );
  });
});

test("the auth difference is what its definition says", () => {
  fc.assert(
    fc.property(randomForks, ({ stateSets, graph }) => {
      const { forks, unconflicted } = splitConflicts(stateSets, { stateResolution: "v2" });
      const quick = authDifference({ forks, shared: () => unconflicted.values(), graph });
      expect(quick).toEqual(naiveAuthDifference(stateSets, graph));
    }),
    RUNS,
  );
});

test("of the unconflicted events, the auth difference needs only those above its candidates", () => {
  fc.assert(
    fc.property(randomForks, ({ events, stateSets, graph }) => {
      const { forks, unconflicted } = splitConflicts(stateSets, { stateResolution: "v2" });
      const place = new Map(events.map(({ event_id }, index) => [event_id, index]));
      const placeOf = (id: EventId): number => place.get(id) ?? 0;
      const newer = (candidates: ReadonlySet<EventId>): EventId[] => {
        const lowest = Math.min(...[...candidates].map(placeOf));
        return [...unconflicted.values()].filter((id) => placeOf(id) >= lowest);
      };
      const quick = authDifference({ forks, shared: newer, graph });
      expect(quick).toEqual(naiveAuthDifference(stateSets, graph));
    }),
  );
});

test("the conflicted state subgraph is what its definition says", () => {
  fc.assert(
    fc.property(randomForks, ({ stateSets, graph }) => {
      const { conflicted } = splitConflicts(stateSets, { stateResolution: "v2.1" });
      const ids = new Set([...conflicted.values()].flatMap((each) => [...each]));
      expect(runSteps(conflictedSubgraph(ids, graph))).toEqual(naiveSubgraph(ids, graph));
    }),
    RUNS,
  );
});
