import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BlobStore } from "#src/homeserver/blob-store.ts";
import { openS3Blobs } from "#src/homeserver/s3-blobs.ts";
import { testBlobStore } from "#src/homeserver/testing-blob-store.ts";
import { lacks } from "../needs.ts";
import { type ObjectStore, startObjectStore } from "./object-store.ts";

const MIB = 1024 * 1024;

describe.skipIf(await lacks("object store"))("files in a bucket", () => {
  const directory = mkdtempSync(join(tmpdir(), "s3-blobs-"));
  let store: ObjectStore;
  let opened: BlobStore;
  const blobs: BlobStore = {
    check: async (...of) => await opened.check(...of),
    create: async () => await opened.create(),
    open: async (...of) => await opened.open(...of),
    withFile: async (...of) => await opened.withFile(...of),
    remove: async (...of) => await opened.remove(...of),
    list: async (...of) => await opened.list(...of),
    removeAbandoned: async (...of) => await opened.removeAbandoned(...of),
  };
  const open = async (bucket: string) =>
    openS3Blobs(await store.makeBucket(bucket), { directory, now: Date.now });

  beforeAll(async () => {
    store = await startObjectStore();
    opened = await open("files");
  });
  afterAll(() => {
    store.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  testBlobStore(blobs);

  test("come whole in parts if they are large, and leave nothing on this machine", async () => {
    const writer = await blobs.create();
    const parts = Array.from({ length: 20 }, (_, index) => Buffer.alloc(MIB, index));
    for (const part of parts) await writer.write([part]);
    await writer.commit();
    const range = { start: 8 * MIB - 3, end: 16 * MIB + 3 };
    const read = await (await blobs.open(writer.key, range))?.bytes();
    expect(read && Buffer.concat(parts).subarray(range.start, range.end).equals(read)).toBe(true);
    expect((await blobs.open(writer.key))?.sizeBytes).toBe(20 * MIB);
    expect(readdirSync(join(directory, "unfinished"))).toEqual([]);
  });

  test("stay below the prefix, in folders as on a disk", async () => {
    const own = await open("folders");
    const writer = await own.create();
    await writer.write([Buffer.from("hello")]);
    await writer.commit();
    const { Contents = [] } = await store.client.send(
      new ListObjectsV2Command({ Bucket: "folders" }),
    );
    const path = `${writer.key.slice(0, 3)}/${writer.key.slice(3)}`;
    expect(Contents.map((it) => it.Key ?? "")).toEqual([`files/${path}`]);
  });

  test("that came half into the bucket are taken out once they are old, but no others'", async () => {
    const own = await open("halves");
    for (const Key of ["files/abc/def", "other/abc"]) {
      await store.client.send(new CreateMultipartUploadCommand({ Bucket: "halves", Key }));
    }
    const left = async () => {
      const listed = await store.client.send(new ListMultipartUploadsCommand({ Bucket: "halves" }));
      return (listed.Uploads ?? []).map((it) => it.Key ?? "").toSorted();
    };
    // Moto says of all of them that they began in 2010.
    await own.removeAbandoned(Date.UTC(2009));
    expect(await left()).toEqual(["files/abc/def", "other/abc"]);
    await own.removeAbandoned(Date.now());
    expect(await left()).toEqual(["other/abc"]);
  });

  test("cannot be stored where there is no bucket, which is not taken for a lost file", async () => {
    const settings = { ...(await store.makeBucket("there")), bucket: "nowhere" };
    const lost = openS3Blobs(settings, { directory, now: Date.now });
    const writer = await lost.create();
    await writer.write([Buffer.from("hello")]);
    await expect(writer.commit()).rejects.toThrow(/bucket/);
    await writer.discard();
    await expect(lost.open(writer.key)).rejects.toThrow(/bucket/);
    expect(readdirSync(join(directory, "unfinished"))).toEqual([]);
  });
});
