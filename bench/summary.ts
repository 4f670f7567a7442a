import { besideSynapse } from "./beside-synapse.ts";
import { type Budget, budgetOf } from "./budgets.ts";
import type { Line, Spread } from "./line.ts";
import { median } from "./load/quantiles.ts";
import type { Measurement } from "./load/stage.ts";
import type { ServerKind } from "./servers/server-under-test.ts";

/** One case of one server in one repetition. */
export type Result = {
  readonly server: ServerKind;
  readonly repetition: number;
  readonly measurement: Measurement;
};

/** Brings the repetitions of each case and server together. */
export function summarise(results: readonly Result[]): Line[] {
  const lines = linesOf(results);
  return lines.map((line) => {
    if (line.server !== "archipel") return line;
    const theirs = lines.find(({ id, server }) => id === line.id && server === "synapse");
    return theirs === undefined ? line : { ...line, beside: besideSynapse(line, theirs) };
  });
}

function linesOf(results: readonly Result[]): Line[] {
  const groups = Map.groupBy(results, ({ server, measurement }) => `${measurement.id} ${server}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (first === undefined) return [];
    const figures = spreads(group.map(({ measurement }) => figuresOf(measurement)));
    const { id } = first.measurement;
    const over = first.server === "archipel" ? overBudget(figures, budgetOf(id)) : undefined;
    return [
      { id, server: first.server, repetitions: group.length, figures, ...(over && { over }) },
    ];
  });
}

/** What is told of a measurement. */
function figuresOf(measurement: Measurement): Map<string, number> {
  const { operations, usage, latency, figures = {} } = measurement;
  const told = new Map(Object.entries(figures));
  const each = (name: string, total: number) => told.set(name, total / operations);
  each("serverCpuMs", usage.serverCpuMs);
  each("postgresCpuMs", usage.postgresCpuMs);
  each("generatorCpuMs", measurement.generatorCpuMs);
  each("walBytes", usage.walBytes);
  each("bytesFromServer", measurement.bytesFromServer);
  each("bytesToServer", measurement.bytesToServer);
  told.set("perSecond", operations / (measurement.loadMs / 1000));
  told.set("serverRssBytes", usage.serverRssBytes);
  for (const [name, value] of Object.entries(latency ?? {})) told.set(name, value);
  return told;
}

function spreads(all: readonly ReadonlyMap<string, number>[]): Map<string, Spread> {
  const names = new Set(all.flatMap((one) => [...one.keys()]));
  return new Map(
    [...names].map((name) => {
      const values = all.map((one) => one.get(name) ?? Number.NaN);
      const spread = {
        median: median(values),
        least: Math.min(...values),
        most: Math.max(...values),
      };
      return [name, spread] as const;
    }),
  );
}

function overBudget(
  figures: ReadonlyMap<string, Spread>,
  { figures: others = {}, ...cpu }: Budget,
): string[] | undefined {
  const limits = Object.entries({ ...cpu, ...others });
  if (limits.length === 0) return undefined;
  return limits.flatMap(([name, limit]) => {
    const value = figures.get(name)?.median ?? Number.NaN;
    return value <= limit ? [] : [name];
  });
}
