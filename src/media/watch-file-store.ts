import { setTimeout as sleep } from "node:timers/promises";
import { Gauge } from "prom-client";
import { blobsOf } from "#src/homeserver/blobs.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";

/** How often it is looked: a store that is not there is soon back, as a rule, or somebody is about it. */
const WHILE_THERE_MS = 5 * 60_000;
const WHILE_AWAY_MS = 30_000;

const up = new Gauge({
  name: "archipel_media_store_up",
  help: "Whether the directory or bucket of files is there: 1, or 0 where none can be kept or shown.",
  registers: [registry],
});

const lastSeen = held(() => ({ isThere: true }));

/**
 * Says, from the start on, when the directory or bucket of files is not there, until the homeserver stops. All else goes on:
 * whoever sends a file is told that it cannot be kept.
 */
export async function watchFileStore(hs: Homeserver): Promise<void> {
  const { stopping: signal } = hs;
  while (!signal.aborted) {
    const isThere = await lookAtFileStore(hs);
    const waitMs = isThere ? WHILE_THERE_MS : WHILE_AWAY_MS;
    await sleep(waitMs, undefined, { signal, ref: false }).catch(() => {});
  }
}

/** Looks once. @returns whether it is there. */
export async function lookAtFileStore(hs: Homeserver): Promise<boolean> {
  const last = lastSeen(hs);
  const { bucket } = hs.config.media.s3;
  const where = bucket === null ? { directory: hs.config.media.directory } : { bucket };
  let isThere = true;
  try {
    await blobsOf(hs).check(hs.stopping);
    if (!last.isThere) hs.log.info(where, "files can be kept again");
  } catch (error) {
    isThere = false;
    if (last.isThere && !hs.stopping.aborted) {
      hs.log.error({ err: error, ...where }, "no files can be kept or shown");
    }
  }
  last.isThere = isThere;
  up.set(isThere ? 1 : 0);
  return isThere;
}
