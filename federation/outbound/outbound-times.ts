/** All in milliseconds. */
export type OutboundTimes = {
  /** How long a destination is this process's without its saying so again, and how often it does. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** How often places are written down. */
  readonly saveMs: number;
  /** How often it is looked for what no process sends. */
  readonly lookMs: number;
  /** For how long a destination that is owed nothing is kept. */
  readonly idleMs: number;
  /** How soon after a failure a sign of life is heeded. */
  readonly calmMs: number;
  /** After what time a transaction makes way for one to another server. */
  readonly slowMs: number;
};

export const USUAL_TIMES: OutboundTimes = {
  leaseMs: 30_000,
  renewMs: 10_000,
  saveMs: 500,
  lookMs: 5_000,
  idleMs: 60_000,
  calmMs: 1_000,
  slowMs: 3_000,
};
