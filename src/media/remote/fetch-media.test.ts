import { once } from "node:events";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import type { RemoteMedia, Remotes } from "#src/homeserver/remotes.ts";
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
  const coming = await fetchMedia(hs, mxc, { timeoutMs: 20_000, allowance });
  await expect(coming.whole).rejects.toMatchObject({ errcode: "M_LIMIT_EXCEEDED" });
  await closed;
  await other.discard();
});

test("who waits for it is patient for as long as they said, whoever has asked first", async () => {
  const asked: (number | undefined)[] = [];
  const body = Readable.from([Buffer.from("here")]);
  const getContent: Remotes["getContent"] = async (_server, { timeoutMs }) => {
    asked.push(timeoutMs);
    await sleep(200);
    if (asked.length > 1) return { ok: true, body: { body } as unknown as RemoteMedia };
    return { ok: false, why: "refused", status: 504, errcode: "M_NOT_YET_UPLOADED", body: {} };
  };
  Object.assign(hs.remotes, { getContent });
  const mxc = { origin: parseServerName("slow.test"), mediaId: newMediaId() };
  const [hasty, patient, alike] = [100, 20_000, 20_100].map(
    async (timeoutMs) => await fetchMedia(hs, mxc, { timeoutMs, allowance }),
  );
  await expect(hasty).rejects.toMatchObject({ errcode: "M_NOT_YET_UPLOADED" });
  expect(await alike).toBe(await patient);
  await (
    await patient
  )?.whole;
  expect(asked).toHaveLength(2);
  expect(asked[1]).toBeGreaterThan(10_000);
});

test("who is willing to wait for a moment does not wait for as long as others", async () => {
  const { promise: never } = Promise.withResolvers<never>();
  Object.assign(hs.remotes, { getContent: async () => await never });
  Object.assign(hs.config.federation, { requestTimeoutMs: 100 });
  const mxc = { origin: parseServerName("hung.test"), mediaId: newMediaId() };
  void fetchMedia(hs, mxc, { timeoutMs: 60_000, allowance });
  const hasty = fetchMedia(hs, mxc, { timeoutMs: 10, allowance });
  await expect(hasty).rejects.toMatchObject({ errcode: "M_NOT_YET_UPLOADED" });
});
