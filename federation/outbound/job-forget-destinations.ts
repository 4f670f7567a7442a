import type { Job } from "#src/jobs/job.ts";
import { forgetStays, forgetStrangers, forgetUpdates, giveUpLost } from "./queries-forget.ts";

/**
 * Forgets what is remembered for the sake of other servers and of no more use to any: what they have been told,
 * servers that we have nothing to do with any more, and what is owed to those that do not come back.
 */
export const forgetDestinations: Job = {
  name: "forget-destinations",
  everyMs: 60 * 60_000,
  async run(hs) {
    const { giveUpAfterMs: lostMs, partners } = hs.config.federation;
    const lost = await giveUpLost(hs.sql, { lostMs, partners });
    if (lost.length > 0) {
      hs.log.warn(
        { destinations: lost },
        "servers have not answered for long: what they were owed is let go of",
      );
    }
    await forgetStays(hs.sql);
    await forgetUpdates(hs.sql);
    await forgetStrangers(hs.sql);
    return "done";
  },
};
