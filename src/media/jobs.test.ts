import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { z } from "zod";
import { BLOB_PARTS } from "#src/homeserver/blob-store.ts";
import { blobsOf } from "#src/homeserver/blobs.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { testUser } from "#src/testing.ts";
import { createMedia } from "./create-media.ts";
import { removeExpiredUploads } from "./job-remove-expired-uploads.ts";
import { sweepBlobs } from "./job-sweep-blobs.ts";
import { mediaServers } from "./testing.ts";

const HOUR_MS = 60 * 60 * 1000;
const servers = await mediaServers(1);
afterAll(async () => await servers.close());
const { signal } = new AbortController();

/** The homeserver as it will be some time from now. */
function later(ms: number): Homeserver {
  const { hs } = servers.all[0] ?? {};
  if (!hs) throw new Error("there is no server");
  return { ...hs, now: () => Date.now() + ms };
}

async function countRows(): Promise<number> {
  const [row] = await servers.sql<{ count: number }[]>`select count(*) from media`;
  return row?.count ?? 0;
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((it) => it.isFile())
    .map((it) => join(it.parentPath, it.name));
}

test("URIs whose files have not come in time are taken back, and no others", async () => {
  await servers.fetch("/_matrix/media/v3/upload", { method: "POST", body: "here" });
  await servers.fetch("/_matrix/media/v1/create", { method: "POST" });
  await removeExpiredUploads.run(later(24 * HOUR_MS), signal);
  expect(await countRows()).toBe(2);
  await removeExpiredUploads.run(later(26 * HOUR_MS), signal);
  expect(await countRows()).toBe(1);
});

test("files that nothing names are swept away once they are old, and no others", async () => {
  const response = await servers.fetch("/_matrix/media/v3/upload", {
    method: "POST",
    body: "kept",
  });
  z.object({ content_uri: z.string() }).parse(await response.json());
  const kept = filesIn(servers.directory);
  const blobs = blobsOf(later(0));
  const orphan = await blobs.create();
  await orphan.write([Buffer.from("orphan")]);
  await orphan.commit();
  const dead = await blobs.create();
  await dead.write([Buffer.from("dead")]);
  expect(filesIn(servers.directory)).toHaveLength(kept.length + 2);

  const sweepAll = async (hs: Homeserver) => {
    for (let run = 0; run < BLOB_PARTS / 16; run++) await sweepBlobs.run(hs, signal);
  };
  await sweepAll(later(0));
  expect(filesIn(servers.directory)).toHaveLength(kept.length + 2);
  await sweepAll(later(25 * HOUR_MS));
  expect(filesIn(servers.directory).toSorted()).toEqual(kept.toSorted());
  await dead.discard();
});

test("of URIs that wait for files a user has no more than they may, also of requests at once", async () => {
  const hs = later(0);
  const bob = await testUser(hs, "bob");
  const { maxPendingUploads } = hs.config.media;
  const asked = Array.from(
    { length: maxPendingUploads + 10 },
    async () => await createMedia(hs, bob),
  );
  const answers = await Promise.allSettled(asked);
  expect(answers.filter((it) => it.status === "fulfilled")).toHaveLength(maxPendingUploads);
});
