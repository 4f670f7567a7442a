import { BLOB_PARTS } from "#src/homeserver/blob-store.ts";
import { blobsOf } from "#src/homeserver/blobs.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Job } from "#src/jobs/job.ts";
import { knownBlobs } from "./queries-media.ts";

/** How long a blob may be without a row that names it, and a writer at work on one: longer than any upload. */
const OLD_MS = 24 * 60 * 60 * 1000;

/** Parts of the store that one run looks at. */
const PARTS_AT_ONCE = 16;

/** Where to go on. A process that starts begins by chance somewhere, so that in the end all is seen. */
const nextPartOf = held(() => ({ part: Math.floor(Math.random() * BLOB_PARTS) }));

/** Removes what uploads that were cut off have left, and blobs that nothing names. A part of the store at a time. */
export const sweepBlobs: Job = {
  name: "sweep-blobs",
  everyMs: 5 * 60 * 1000,

  async run(hs, signal) {
    const before = hs.now() - OLD_MS;
    await blobsOf(hs).removeAbandoned(before);

    const next = nextPartOf(hs);
    for (let count = 0; count < PARTS_AT_ONCE && !signal.aborted; count++) {
      const { part } = next;
      next.part = (part + 1) % BLOB_PARTS;
      await sweepPart(hs, part, before);
    }
    return "done";
  },
};

/** Removes blobs of one part that nothing names, if they were made before a time. */
export async function sweepPart(hs: Homeserver, part: number, before: UnixMs): Promise<void> {
  const blobs = blobsOf(hs);
  const keys = await blobs.list(part, before);
  if (keys.length === 0) return;
  const known = await knownBlobs(hs.sql, keys);
  const orphans = keys.filter((key) => !known.has(key));
  await blobs.remove(orphans);
  if (orphans.length > 0) hs.log.info({ count: orphans.length }, "removed files of no media");
}
