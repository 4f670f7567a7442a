import type { Job } from "#src/jobs/job.ts";
import { deletePairsExpiredBefore } from "./queries-tokens.ts";

const BATCH = 500;

/** For so long after a token has expired, its client is told that, rather than that there is no such token. */
const TOLD_FOR_MS = 30 * 24 * 60 * 60 * 1000;

/** Deletes sessions of user-interactive authentication that were not finished in time. */
export const expireUiaSessions: Job = {
  name: "expire-uia-sessions",
  everyMs: 60_000,
  async run(hs) {
    const { count } = await hs.sql`
      delete from uia_sessions where session_id in (
        select session_id from uia_sessions where expires_at_ms < ${hs.now()} limit ${BATCH})`;
    return count < BATCH ? "done" : "more";
  },
};

/** Deletes secrets for one use that nobody used in time. */
export const expireOneTimeTokens: Job = {
  name: "expire-one-time-tokens",
  everyMs: 60_000,
  async run(hs) {
    const { count } = await hs.sql`
      delete from one_time_tokens where hash in (
        select hash from one_time_tokens where expires_at_ms < ${hs.now()} limit ${BATCH})`;
    return count < BATCH ? "done" : "more";
  },
};

/** Deletes tokens by which third parties learnt who a user is. */
export const expireOpenIdTokens: Job = {
  name: "expire-openid-tokens",
  everyMs: 60 * 60_000,
  async run(hs) {
    const { count } = await hs.sql`
      delete from openid_tokens where hash in (
        select hash from openid_tokens where expires_at_ms < ${hs.now()} limit ${BATCH})`;
    return count < BATCH ? "done" : "more";
  },
};

/** Deletes access tokens that expired long ago and cannot be refreshed. */
export const forgetExpiredTokens: Job = {
  name: "forget-expired-tokens",
  everyMs: 60 * 60_000,
  async run(hs) {
    const deleted = await deletePairsExpiredBefore(hs.sql, hs.now() - TOLD_FOR_MS, BATCH);
    return deleted < BATCH ? "done" : "more";
  },
};
