import type { Job } from "#src/jobs/job.ts";

const BATCH = 1_000;

/** A client that has had no answer repeats its request within minutes. */
const KEPT_MS = 24 * 60 * 60 * 1000;

/** Forgets which requests to send messages were carried out long ago. */
export const expireToDeviceTransactions: Job = {
  name: "expire-to-device-transactions",
  everyMs: 10 * 60_000,
  async run(hs) {
    const { count } = await hs.sql`
      delete from to_device_transactions where ctid = any(array(
        select ctid from to_device_transactions where done_ms < ${hs.now() - KEPT_MS} limit ${BATCH}))`;
    return count < BATCH ? "done" : "more";
  },
};

/** A server that has had no answer repeats itself within a day, or when it is up again. */
const RECEIVED_KEPT_MS = 7 * KEPT_MS;

/** Forgets which messages other servers brought long ago. */
export const expireReceivedMessages: Job = {
  name: "expire-received-to-device",
  everyMs: 60 * 60_000,
  async run(hs) {
    const { count } = await hs.sql`
      delete from received_to_device where ctid = any(array(
        select ctid from received_to_device where received_ms < ${hs.now() - RECEIVED_KEPT_MS}
        limit ${BATCH}))`;
    return count < BATCH ? "done" : "more";
  },
};
