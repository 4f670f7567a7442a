/**
 * Suites that take half a minute and more, and tell at length what others tell in short: servers killed, networks cut and
 * floods. The longest first.
 */
export const LONG_SUITES: readonly string[] = [
  "spec-tests/partitions/partitions.spec.ts",
  "spec-tests/peers/outages.spec.ts",
  "spec-tests/partitions/catch-up.spec.ts",
  "spec-tests/ground/demo.spec.ts",
  "spec-tests/ground/embedded-postgres.spec.ts",
  "spec-tests/interop/restarts.spec.ts",
  "spec-tests/client-server/following.spec.ts",
  "spec-tests/lying-peer/floods.spec.ts",
  "spec-tests/faults/paging.spec.ts",
  "spec-tests/faults/kill-trials.spec.ts",
  "spec-tests/faults/senders.spec.ts",
];

/** Those that a run leaves to CI: none where it is told what to run. @param args what it is told. */
export function leftToCi(args: readonly string[]): readonly string[] {
  const isTold = args.some((it) => !it.startsWith("-"));
  return process.env["CI"] || isTold ? [] : LONG_SUITES;
}
