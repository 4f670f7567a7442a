import { once } from "node:events";
import { Readable } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { parseServerName } from "#src/kit/server-name.ts";
import { createCopyBlob } from "../create-copy-blob.ts";
import { newMediaId } from "../mxc.ts";
import { mediaServers } from "../testing.ts";
import { fetchMedia } from "./fetch-media.ts";

const MIB = 1024 * 1024;
const servers = await mediaServers(1, { maxRemoteCopyBytes: MIB, maxUploadBytes: MIB });
afterAll(async () => await servers.close());
const [{ hs } = { hs: undefined }] = servers.all;
if (!hs) throw new Error("there is no server");

const allowance = { require: () => {}, count: () => {} };

test("what finds no room here is asked no further of the server that sends it", async () => {
  const body = new Readable({ read: () => void body.push(Buffer.alloc(64 * 1024)) });
  const getContent = async () => await Promise.resolve({ ok: true, body: { body } });
  Object.assign(hs.remotes, { getContent });
  const other = await createCopyBlob(hs, allowance);
  await other.write([Buffer.alloc(MIB)]);

  const mxc = { origin: parseServerName("elsewhere.test"), mediaId: newMediaId() };
  const closed = once(body, "close");
  const coming = await fetchMedia(hs, mxc, { timeoutMs: 1_000, allowance });
  await expect(coming.whole).rejects.toMatchObject({ errcode: "M_LIMIT_EXCEEDED" });
  await closed;
  await other.discard();
});
