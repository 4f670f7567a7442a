import { spawn } from "node:child_process";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import type { S3Settings } from "#src/homeserver/s3-bucket.ts";
import { freePort } from "#src/kit/free-port.ts";
import { installObjectStore } from "./install.ts";

/** A server of the S3 API in a process of its own. */
export type ObjectStore = {
  /** Makes a bucket, and says how it is reached. */
  makeBucket(name: string): Promise<S3Settings>;
  readonly client: S3Client;
  stop(): void;
};

const KEY = { accessKeyId: "test", secretAccessKey: "test" };

/** Lets it end when the process that started it has ended, however that went (Linux). */
const RUN = `
import ctypes, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 15)
from moto.server import main
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
`;

/**
 * Starts one, and waits until it answers.
 *
 * @throws PackagesMissingError if it cannot be installed.
 */
export async function startObjectStore(): Promise<ObjectStore> {
  const python = await installObjectStore();
  const port = await freePort();
  const child = spawn(python, ["-c", RUN, String(port)], { stdio: "ignore" });
  const endWithUs = () => child.kill("SIGKILL");
  process.once("exit", endWithUs);
  child.once("exit", () => process.removeListener("exit", endWithUs));
  const endpoint = `http://127.0.0.1:${port}`;
  await untilItAnswers(endpoint, () => child.exitCode !== null);
  const client = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: KEY,
  });
  return {
    client,
    async makeBucket(bucket) {
      await client.send(new CreateBucketCommand({ Bucket: bucket }));
      return {
        bucket,
        endpoint,
        region: "us-east-1",
        prefix: "files/",
        pathStyle: true,
        ...KEY,
        secretAccessKeyFile: null,
      };
    },
    stop() {
      client.destroy();
      child.kill("SIGKILL");
    },
  };
}

async function untilItAnswers(url: string, hasEnded: () => boolean): Promise<void> {
  const deadline = Date.now() + 50_000;
  while (!hasEnded() && Date.now() < deadline) {
    if (await fetch(url).catch(() => undefined)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the object store for tests did not start");
}
