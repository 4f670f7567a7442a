import { type Budget, budgetOf } from "./budgets.ts";
import type { Beside, Line, Spread } from "./line.ts";

type Column = { readonly title: string; readonly cell: (line: Line) => string };

const COLUMNS: readonly Column[] = [
  { title: "case", cell: ({ id }) => id },
  { title: "server", cell: ({ server }) => server },
  { title: "CPU ms/op", cell: (line) => figure(line, "serverCpuMs", decimals) },
  { title: "+ PostgreSQL", cell: (line) => figure(line, "postgresCpuMs", decimals) },
  {
    title: "budget",
    cell: ({ id, server }) => (server === "archipel" ? budgetText(budgetOf(id)) : ""),
  },
  { title: "", cell: ({ over }) => verdict(over) },
  { title: "of Synapse (budget)", cell: ({ beside }) => besideText(beside) },
  { title: "op/s", cell: (line) => figure(line, "perSecond", decimals) },
  { title: "p50", cell: (line) => figure(line, "p50", decimals) },
  { title: "p95", cell: (line) => figure(line, "p95", decimals) },
  { title: "p99", cell: (line) => figure(line, "p99", decimals) },
  { title: "max ms", cell: (line) => figure(line, "max", decimals) },
  { title: "RSS", cell: (line) => figure(line, "serverRssBytes", bytes) },
  { title: "WAL/op", cell: (line) => figure(line, "walBytes", bytes) },
  { title: "sent/op", cell: (line) => figure(line, "bytesFromServer", bytes) },
  { title: "load ms/op", cell: (line) => figure(line, "generatorCpuMs", decimals) },
  { title: "also", cell: also },
];

/** Figures that one workload has, and how they are told. */
const OTHERS: ReadonlyMap<string, { readonly words: string; readonly show: typeof bytes }> =
  new Map([
    ["rssBytesPerConnection", { words: "a connection", show: bytes }],
    ["databaseBytesPerEvent", { words: "an event on disk", show: bytes }],
    ["memoryBytes", { words: "with PostgreSQL, shared pages once", show: bytes }],
    ["serverPeakGrowthBytes", { words: "more memory at most", show: bytes }],
    ["rowsLeft", { words: "rows left", show: (value) => String(value) }],
    ["wholeMs", { words: "ms until all members are known", show: decimals }],
  ]);

/** The results as a table for a terminal or a page: medians, and where there are several runs their spread. */
export function renderTable(lines: readonly Line[]): string {
  const rows = [COLUMNS.map(({ title }) => title), ...lines.map(cellsOf)];
  const widths = COLUMNS.map((_, index) =>
    Math.max(...rows.map((row) => (row[index] ?? "").length)),
  );
  const ruled = [rows[0] ?? [], widths.map((width) => "-".repeat(width)), ...rows.slice(1)];
  return ruled
    .map((row) => `| ${row.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(" | ")} |`)
    .join("\n");
}

function cellsOf(line: Line): string[] {
  return COLUMNS.map(({ cell }) => cell(line));
}

function verdict(over: Line["over"]): string {
  if (over === undefined) return "";
  return over.length === 0 ? "ok" : "over";
}

function besideText(beside: Beside | undefined): string {
  if (beside === undefined) return "";
  const { times, wanted } = beside;
  const share = `1/${decimals(times)}`;
  if (wanted === undefined) return share;
  return `${share} (1/${decimals(wanted)}) ${times >= wanted ? "ok" : "over"}`;
}

function budgetText({ serverCpuMs, postgresCpuMs, figures = {} }: Budget): string {
  const cpu = [serverCpuMs, postgresCpuMs].filter((one) => one !== undefined).map(decimals);
  const others = Object.entries(figures).map(
    ([name, limit]) =>
      `${name.endsWith("Bytes") || name.includes("BytesPer") ? bytes(limit) : `${name} ${limit}`}`,
  );
  return [cpu.join(" + "), ...others].filter((part) => part !== "").join(", ");
}

function also(line: Line): string {
  return [...OTHERS]
    .flatMap(([name, { words, show }]) =>
      line.figures.has(name) ? [`${figure(line, name, show)} ${words}`] : [],
    )
    .join(", ");
}

function figure(line: Line, name: string, show: (value: number) => string): string {
  const spread: Spread | undefined = line.figures.get(name);
  if (spread === undefined) return "";
  const middle = show(spread.median);
  if (line.repetitions === 1) return middle;
  return `${middle} (${show(spread.least)}–${show(spread.most)})`;
}

function decimals(value: number): string {
  if (value >= 100) return value.toFixed(0);
  if (value >= 10) return value.toFixed(1);
  return value >= 1 ? value.toFixed(2) : value.toFixed(3);
}

function bytes(value: number): string {
  if (Math.abs(value) < 10_000) return `${Math.round(value)} B`;
  if (Math.abs(value) < 10_000_000) return `${Math.round(value / 1000)} kB`;
  return `${Math.round(value / 1_000_000)} MB`;
}
