import { spawn } from "node:child_process";
import type { S3Settings } from "#src/homeserver/s3-bucket.ts";

const MIB = 1024 * 1024;

/** A process that takes one file, gives it back, and then says how much memory that has taken. */
const PROGRAM = `
  import { createAdaptorServer } from "@hono/node-server";
  import { openDiskBlobs } from "#src/homeserver/disk-blobs.ts";
  import { openS3Blobs } from "#src/homeserver/s3-blobs.ts";
  import { receiveBlob } from "#src/media/receive-blob.ts";
  const { s3, directory } = JSON.parse(process.argv[1]);
  const blobs = s3 ? openS3Blobs(s3, { directory, now: Date.now }) : openDiskBlobs(directory);
  // What the store needs for itself is not what a file takes.
  await blobs.open("0".repeat(32));
  let usual, key;
  const server = createAdaptorServer({ async fetch(request, { incoming }) {
    if (request.method === "POST") {
      usual ??= process.memoryUsage.rss();
      const body = { source: incoming, declaredBytes: undefined };
      const stored = await receiveBlob(blobs, body, 1e12);
      key = stored.blobKey;
      return Response.json(stored.sizeBytes);
    }
    if (request.url.endsWith("/file")) {
      const file = await blobs.open(key);
      return new Response(file.stream());
    }
    return Response.json(process.resourceUsage().maxRSS * 1024 - usual);
  }});
  server.listen(0, "127.0.0.1", () => console.log(server.address().port));
`;

/** What became of a file that went up and down. In bytes. */
export type Transfer = {
  readonly stored: unknown;
  readonly received: number;
  /** How much more memory the process that had it took than before. */
  readonly growth: unknown;
};

/** Sends a file to a process of its own, and fetches it. */
export async function transferFile(
  store: { readonly directory: string; readonly s3?: S3Settings },
  sizeMiB: number,
): Promise<Transfer> {
  const args = ["--input-type=module", "-e", PROGRAM, JSON.stringify(store)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const port = await new Promise<string>((resolve) =>
      child.stdout.once("data", (line: Buffer) => resolve(line.toString().trim())),
    );
    const url = `http://127.0.0.1:${port}`;
    const chunk = Buffer.alloc(MIB, "x");
    const body = ReadableStream.from(Array.from({ length: sizeMiB }, () => chunk));
    const stored: unknown = await (
      await fetch(url, { method: "POST", body, duplex: "half" })
    ).json();
    let received = 0;
    for await (const part of (await fetch(`${url}/file`)).body ?? []) received += part.length;
    const growth: unknown = await (await fetch(`${url}/growth`)).json();
    return { stored, received, growth };
  } finally {
    child.kill("SIGKILL");
  }
}
