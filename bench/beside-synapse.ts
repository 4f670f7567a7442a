import { budgetOf, ROOMS_OF_BUDGET } from "./budgets.ts";
import type { Beside, Line } from "./line.ts";
import { numberAt } from "./workloads/workload.ts";

/**
 * What Synapse 1.163 took where the budgets were set: CPU in milliseconds for each operation, server and PostgreSQL. A
 * machine's speed at one thing says little of its speed at others; how long another server takes for the same says more.
 */
const SYNAPSE_THERE: ReadonlyMap<string, readonly [server: number, postgres: number]> = new Map([
  ["W1/10/c1", [20.3, 9.6]],
  ["W1/10/c8", [12.2, 5.2]],
  ["W1/10/c32", [9.8, 3.9]],
  ["W1/100/c8", [14.1, 7.7]],
  ["W2", [14.3, 8.5]],
  ["W4", [5.1, 3.3]],
  ["W5s", [34.5, 10]],
  ["W6/1000", [2_400, 1_490]],
  ["W8/1", [28.1, 14.5]],
  ["W8/20", [16.4, 10]],
  ["W9", [19, 10]],
  ["W11", [11.7, 4.3]],
  ["join", [33, 16]],
  ["createRoom", [99, 49]],
]);

export function besideSynapse(ours: Line, theirs: Line): Beside {
  const { id } = ours;
  const there = synapseThere(id);
  const { serverCpuMs = 0, postgresCpuMs = 0 } = budgetOf(id);
  const budget = serverCpuMs + postgresCpuMs;
  return {
    times: cpuOf(theirs) / cpuOf(ours),
    wanted: there === undefined || budget === 0 ? undefined : there / budget,
  };
}

function synapseThere(id: string): number | undefined {
  if (id.startsWith("W5/")) {
    return ((id.endsWith("/cold") ? 1_320 + 1_100 : 842 + 344) * numberAt(id, 1)) / ROOMS_OF_BUDGET;
  }
  const parts = id.split("/");
  const names = parts.map((_, index) => parts.slice(0, parts.length - index).join("/"));
  const [server, postgres] = names.flatMap((name) => SYNAPSE_THERE.get(name) ?? []);
  return server === undefined || postgres === undefined ? undefined : server + postgres;
}

function cpuOf({ figures }: Line): number {
  const of = (name: string) => figures.get(name)?.median ?? Number.NaN;
  return of("serverCpuMs") + of("postgresCpuMs");
}
