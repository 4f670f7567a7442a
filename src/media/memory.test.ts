import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const MIB = 1024 * 1024;
const SIZE = 200 * MIB;

const directory = mkdtempSync(join(tmpdir(), "media-memory-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** A process that takes one file, gives it back, and then says how much memory that has taken. */
const PROGRAM = `
  import { createAdaptorServer } from "@hono/node-server";
  import { openDiskBlobs } from "#src/homeserver/disk-blobs.ts";
  import { receiveBlob } from "#src/media/receive-blob.ts";
  const blobs = openDiskBlobs(process.argv[1]);
  let usual, key;
  const server = createAdaptorServer({ async fetch(request, { incoming }) {
    if (request.method === "POST") {
      usual ??= process.memoryUsage.rss();
      const body = { source: incoming, declaredBytes: undefined };
      const stored = await receiveBlob(blobs, body, 1e9);
      key = stored.blobKey;
      return Response.json(stored.sizeBytes);
    }
    if (request.url.endsWith("/file")) {
      const file = await blobs.open(key);
      return new Response(file.stream(0, file.sizeBytes));
    }
    return Response.json(process.resourceUsage().maxRSS * 1024 - usual);
  }});
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

test("a file of 200 MiB goes up and down without ever being in memory", async () => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM, directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const port = await new Promise<string>((resolve) =>
      child.stdout.once("data", (line: Buffer) => resolve(line.toString().trim())),
    );
    const url = `http://127.0.0.1:${port}`;
    const chunk = Buffer.alloc(MIB, "x");
    const body = ReadableStream.from(Array.from({ length: SIZE / MIB }, () => chunk));
    const stored = await fetch(url, { method: "POST", body, duplex: "half" });
    expect(await stored.json()).toBe(SIZE);

    let received = 0;
    for await (const part of (await fetch(`${url}/file`)).body ?? []) received += part.length;
    expect(received).toBe(SIZE);

    expect(await (await fetch(`${url}/growth`)).json()).toBeLessThan(SIZE / 2);
  } finally {
    child.kill("SIGKILL");
  }
});
