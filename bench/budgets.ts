import { numberAt } from "./workloads/workload.ts";

/** What a case may cost. CPU is in milliseconds for each operation. */
export type Budget = {
  readonly serverCpuMs?: number;
  readonly postgresCpuMs?: number;
  /** Limits of latencies (`p50`, `p99`) and of figures that the case alone has. */
  readonly figures?: Readonly<Record<string, number>>;
};

/** The budgets of our server; what has none is measured all the same. */
const BUDGETS: ReadonlyMap<string, Budget> = new Map<string, Budget>([
  ["W1/10/c1", { serverCpuMs: 0.8, postgresCpuMs: 0.8 }],
  ["W1/10/c8", { serverCpuMs: 0.4, postgresCpuMs: 0.2 }],
  ["W1/10/c32", { serverCpuMs: 0.4, postgresCpuMs: 0.2 }],
  ["W1/100/c8", { serverCpuMs: 0.4, postgresCpuMs: 0.2 }],
  ["W2", { serverCpuMs: 0.4, postgresCpuMs: 0.2 }],
  ["W3", { figures: { p50: 5, p99: 25 } }],
  ["W4/100", { serverCpuMs: 0.12, postgresCpuMs: 0.01 }],
  ["W4", { serverCpuMs: 0.12, postgresCpuMs: 0.01, figures: { rssBytesPerConnection: 20_000 } }],
  ["W6/100", { serverCpuMs: 30, postgresCpuMs: 12, figures: { p50: 200, wholeMs: 1_000 } }],
  ["W6/1000", { serverCpuMs: 300, postgresCpuMs: 120, figures: { p50: 200, wholeMs: 1_000 } }],
  ["W6/10000", { serverCpuMs: 3_000, postgresCpuMs: 1_200, figures: { p50: 300, wholeMs: 5_000 } }],
  ["W7", { serverCpuMs: 600, postgresCpuMs: 250, figures: { max: 5_000 } }],
  ["W8", { serverCpuMs: 0.6, postgresCpuMs: 0.2 }],
  ["W9", { serverCpuMs: 0.8, postgresCpuMs: 0.3, figures: { max: 5_000 } }],
  ["W10", { figures: { p99: 100 } }],
  ["W11", { serverCpuMs: 1.2, postgresCpuMs: 0.8 }],
  ["W12", { figures: { p99: 100 } }],
  ["W13", { serverCpuMs: 2, postgresCpuMs: 1, figures: { serverPeakGrowthBytes: 100_000_000 } }],
  ["W13/thumbnail", { serverCpuMs: 60, postgresCpuMs: 3 }],
  ["W14", { figures: { rowsLeft: 0 } }],
  ["W15", { serverCpuMs: 70, postgresCpuMs: 30 }],
  ["W5s", { serverCpuMs: 3, postgresCpuMs: 2 }],
  ["W16", { figures: { databaseBytesPerEvent: 3_000 } }],
  ["W18", { serverCpuMs: 2, figures: { memoryBytes: 150_000_000 } }],
  ["join", { serverCpuMs: 1.5, postgresCpuMs: 0.8 }],
  ["createRoom", { serverCpuMs: 3, postgresCpuMs: 2 }],
]);

/** W5's budgets are for a user in this many rooms. */
export const ROOMS_OF_BUDGET = 201;

/** The budget of a case. */
export function budgetOf(id: string): Budget {
  if (id.startsWith("W5/")) {
    const share = numberAt(id, 1) / ROOMS_OF_BUDGET;
    const [server, postgres] = id.endsWith("/cold") ? [60, 40] : [40, 20];
    return { serverCpuMs: server * share, postgresCpuMs: postgres * share };
  }
  const [workload = ""] = id.split("/");
  return BUDGETS.get(id) ?? BUDGETS.get(workload) ?? {};
}
