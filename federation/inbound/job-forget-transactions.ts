import type { Job } from "#src/jobs/job.ts";
import { forgetAnswers } from "./queries-transactions.ts";

const BATCH = 1_000;

/** A server that has had no answer repeats its transaction for as long as it is not answered, and sends no other. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/** Forgets what was answered to transactions of other servers long ago. */
export const forgetTransactions: Job = {
  name: "forget-received-transactions",
  everyMs: 10 * 60_000,
  async run(hs) {
    const count = await forgetAnswers(hs, hs.now() - KEPT_MS, BATCH);
    return count < BATCH ? "done" : "more";
  },
};
