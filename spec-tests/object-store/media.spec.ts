import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { UnixMs } from "#src/homeserver/position.ts";
import { sweepPart } from "#src/media/job-sweep-blobs.ts";
import { transferFile } from "#src/media/testing-memory.ts";
import { mediaServers, type MediaServers } from "#src/media/testing.ts";
import { lacks } from "../needs.ts";
import { type ObjectStore, startObjectStore } from "./object-store.ts";

const MIB = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;
const DOWNLOAD = "/_matrix/client/v1/media/download";
const THUMBNAIL = "/_matrix/client/v1/media/thumbnail";

describe.skipIf(await lacks("object store"))("media in a bucket", () => {
  const directory = mkdtempSync(join(tmpdir(), "media-in-bucket-"));
  let store: ObjectStore;
  let servers: MediaServers;

  beforeAll(async () => {
    store = await startObjectStore();
    servers = await mediaServers(2, { s3: await store.makeBucket("media") });
  });
  afterAll(async () => {
    await servers.close();
    store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  const upload = async (body: Uint8Array<ArrayBuffer>, contentType: string): Promise<string> => {
    const headers = { "content-type": contentType };
    const answer = await servers.fetch("/_matrix/media/v3/upload", {
      method: "POST",
      headers,
      body,
    });
    expect(answer.status).toBe(200);
    const { content_uri: uri } = z.object({ content_uri: z.string() }).parse(await answer.json());
    return uri.slice("mxc://".length);
  };
  const objects = async () => {
    const { Contents = [] } = await store.client.send(
      new ListObjectsV2Command({ Bucket: "media" }),
    );
    return Contents.map((it) => it.Key ?? "").toSorted();
  };

  test("is served by every process, whole and in part", async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => index % 251));
    const path = `${DOWNLOAD}/${await upload(bytes, "application/octet-stream")}`;
    const whole = await servers.fetch(path, { server: 1 });
    expect(bytes.equals(Buffer.from(await whole.arrayBuffer()))).toBe(true);

    const part = await servers.fetch(path, { server: 1, headers: { range: "bytes=7-200006" } });
    expect(part.status).toBe(206);
    expect(part.headers.get("content-range")).toBe("bytes 7-200006/300000");
    expect(bytes.subarray(7, 200_007).equals(Buffer.from(await part.arrayBuffer()))).toBe(true);
  });

  test("has thumbnails, which are kept in the bucket too", async () => {
    const picture = sharp({
      create: { width: 900, height: 600, channels: 3, background: "teal" },
    });
    const uri = await upload(new Uint8Array(await picture.png().toBuffer()), "image/png");
    const before = (await objects()).length;
    for (const server of [0, 1]) {
      const path = `${THUMBNAIL}/${uri}?width=96&height=96&method=crop`;
      const answer = await servers.fetch(path, { server });
      // What makes thumbnails lets this process decode files alone.
      const file = join(directory, `thumbnail-${server}`);
      writeFileSync(file, await answer.bytes());
      const { width, height } = await sharp(file).metadata();
      expect([width, height]).toEqual([96, 96]);
    }
    expect(await objects()).toHaveLength(before + 1);
  });

  test("that nothing names is swept away once it is old, and no other", async () => {
    const orphan = `files/abc/${"0".repeat(29)}`;
    const kept = await objects();
    await store.client.send(new PutObjectCommand({ Bucket: "media", Key: orphan, Body: "orphan" }));
    const [first] = servers.all;
    if (!first) throw new Error("there is no server");
    const tomorrow = (first.hs.now() + DAY_MS) as UnixMs;
    // Of the four thousand parts those that anything is in: `jobs.test.ts` sees that all get their turn.
    const parts = new Set(
      (await objects()).map((it) => Number.parseInt(it.split("/")[1] ?? "", 16)),
    );
    for (const part of parts) await sweepPart(first.hs, part, tomorrow);
    expect(await objects()).toEqual(kept);
  });

  test("of 300 MiB goes up and down without ever being in memory", async () => {
    const s3 = await store.makeBucket("large");
    const { stored, received, growth } = await transferFile({ directory, s3 }, 300);
    expect(stored).toBe(300 * MIB);
    expect(received).toBe(300 * MIB);
    expect(growth).toBeLessThan(200 * MIB);
  }, 120_000);
});
