import type { ServerKind } from "./servers/server-under-test.ts";

/** A figure over all repetitions. */
export type Spread = { readonly median: number; readonly least: number; readonly most: number };

/** One line of the table. */
export type Line = {
  readonly id: string;
  readonly server: ServerKind;
  readonly repetitions: number;
  /** By name: CPU in milliseconds and bytes, each for one operation; the rest as it is. */
  readonly figures: ReadonlyMap<string, Spread>;
  /** Undefined for others than ours, and where there is no budget. */
  readonly over?: readonly string[];
  /** Undefined for others than ours, and where Synapse did not do the same. */
  readonly beside?: Beside | undefined;
};

/** How our CPU time, server and PostgreSQL together, stands to Synapse's for the same in the same run. */
export type Beside = {
  /** Ours is Synapse's divided by this. */
  readonly times: number;
  /** What the budget is by the same measure where it was set; undefined where Synapse was not measured there. */
  readonly wanted?: number | undefined;
};
