/** What is said of a collection of times, all in milliseconds. */
export type Latency = {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
};

/** Sums up times. Undefined when there are none. */
export function latencyOf(timesMs: readonly number[]): Latency | undefined {
  if (timesMs.length === 0) return undefined;
  const sorted = Float64Array.from(timesMs).sort();
  const at = (share: number) => quantile(sorted, share);
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
}

/** The smallest value that so large a share of the values does not exceed. `sorted` must not be empty. */
function quantile(sorted: ArrayLike<number>, share: number): number {
  const index = Math.max(0, Math.ceil(share * sorted.length) - 1);
  return sorted[index] ?? Number.NaN;
}

/** The middle value: of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const lower = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return (upper + lower) / 2;
}
