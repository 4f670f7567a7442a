import { readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { appOf } from "#src/app.ts";
import { uploadMedia } from "#src/media/upload-media.ts";
import { testDirectory } from "#src/testing-directory.ts";
import { testUser } from "#src/testing.ts";
import { xMatrixHeader } from "../client/x-matrix.ts";
import { type Peer, testPeer } from "../inbound/testing.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";

const federation = await testFederation();
const directory = join(testDirectory(), "media");
let ours: FederatedHomeserver;
let peer: Peer;

beforeAll(async () => {
  ours = await federation.open({ variables: { ARCHIPEL_MEDIA_DIRECTORY: directory } });
  peer = await testPeer(federation);
});
afterAll(async () => await federation.close());

const BYTES = Buffer.alloc(1_000_000, 7);

/** Has another server ask for a file of a user of ours. */
async function asked(method: string): Promise<Response> {
  const { hs } = ours;
  const mxc = await uploadMedia(hs, await testUser(hs, "alice"), {
    body: { source: Readable.from([BYTES]), declaredBytes: undefined },
    contentType: "text/plain",
    filename: undefined,
  });
  const uri = `/_matrix/federation/v1/media/download/${mxc.mediaId}`;
  const signed = { method, uri, origin: peer.name, destination: hs.name };
  const authorization = xMatrixHeader(signed, peer.key);
  return await appOf(hs).request(uri, { method, headers: { authorization } });
}

/** How many files of the media store this process has open. */
function openFiles(): number {
  return readdirSync("/proc/self/fd").filter((it) => {
    try {
      return readlinkSync(`/proc/self/fd/${it}`).startsWith(directory);
    } catch {
      // It has been closed since.
      return false;
    }
  }).length;
}

const WAIT = { timeout: 20_000 };

// Node ends the process for a file that nobody closes. What it has open is told by Linux.
test
  .skipIf(process.platform !== "linux")
  .each<[who: string, method: string, leave: (response: Response) => Promise<void>]>([
    ["wants its headers alone", "HEAD", async () => {}],
    ["goes away before anything has come", "GET", async ({ body }) => await body?.cancel()],
    [
      "goes away after the beginning",
      "GET",
      async ({ body }) => {
        const reader = body?.getReader();
        await reader?.read();
        await reader?.cancel();
      },
    ],
    [
      "takes all of it",
      "GET",
      async (response) => {
        expect(Buffer.from(await response.arrayBuffer()).includes(BYTES)).toBe(true);
      },
    ],
  ])("a file is closed when who asked for it %s", async (_who, method, leave) => {
  const response = await asked(method);
  expect(response.status).toBe(200);
  await leave(response);
  await expect.poll(openFiles, WAIT).toBe(0);
});
