import { generateKeyPairSync, sign, verify } from "node:crypto";

/** What one verification takes where the budgets were set, in µs of CPU: two shared cores. */
const WHERE_BUDGETS_WERE_SET = 129;

const ROUNDS = 7;
const VERIFICATIONS = 300;

/**
 * How fast the machine is now: what the verification of an Ed25519 signature of an event of 1.3 kB takes, in µs of CPU. The
 * least of some rounds: whatever else runs makes it more.
 */
export function verificationMicros(): number {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const event = Buffer.alloc(1_300, "event");
  const signature = sign(null, event, privateKey);
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    for (let count = 0; count < VERIFICATIONS; count++) verify(null, event, publicKey, signature);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / VERIFICATIONS;
  });
  return Math.min(...rounds);
}

/** Says how the machine compares with that of the budgets, from what was measured before and after the workloads. */
export function compareMachine(measured: readonly number[]): string {
  const micros = measured.map((it) => Math.round(it)).join(" and ");
  const mean = measured.reduce((sum, it) => sum + it, 0) / measured.length;
  const factor = (mean / WHERE_BUDGETS_WERE_SET).toFixed(2);
  return `To verify a signature took ${micros} µs of CPU before and after: ${factor} times what it took where the budgets were set.`;
}
