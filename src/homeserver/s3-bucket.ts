import type { FileHandle } from "node:fs/promises";
import type { Readable } from "node:stream";
import type { GetObjectCommandOutput, S3Client } from "@aws-sdk/client-s3";
import type { Config } from "#src/config/config.ts";
import { Turns } from "#src/kit/turns.ts";
import { readExactly } from "./blob-files.ts";
import type { ByteRange } from "./blob-store.ts";
import { fromFileStore } from "./file-store-away.ts";
import type { UnixMs } from "./position.ts";

/** What we do with a bucket of an object store that speaks the S3 API. Names are below our prefix. */
export type S3Bucket = {
  /** Asks whether it is there, and lets us in. @throws Error that says what to do, if it is not. */
  check(signal: AbortSignal): Promise<void>;
  /** Returns when the object is durable. @throws FileStoreAway if the store fails. */
  put(name: string, file: FileHandle, sizeBytes: number): Promise<void>;
  /**
   * @returns undefined if there is no such object, or it ends before the range does.
   * @throws FileStoreAway if the store fails.
   */
  get(
    name: string,
    range?: ByteRange,
  ): Promise<{ readonly body: Readable; readonly sizeBytes: number } | undefined>;
  remove(name: string): Promise<void>;
  /** The objects whose names begin so and that were made before a time. */
  list(beginning: string, before: UnixMs): Promise<string[]>;
  /** Ends uploads in parts that began before a time. @returns how many there were. */
  endUploads(before: UnixMs): Promise<number>;
};

/** The bucket, and how it is reached. */
export type S3Settings = Config["media"]["s3"] & { readonly bucket: string };

/** Objects up to this size are sent at once; larger ones in parts of it, each of which may be tried again. */
const PART_BYTES = 8 * 1024 * 1024;

/** An object may have no more parts. */
const MOST_PARTS = 10_000;

/** Parts that a process has in memory at once, whatever is uploaded. */
const PARTS_AT_ONCE = 4;

/** Opens a bucket. The library is large, and is loaded only now. Nothing is asked of the bucket yet. */
export async function openS3Bucket(settings: S3Settings): Promise<S3Bucket> {
  const s3 = await import("@aws-sdk/client-s3");
  const client = new s3.S3Client(clientOptions(settings));
  const turns = new Turns(PARTS_AT_ONCE, Number.POSITIVE_INFINITY);
  const { bucket: Bucket, prefix } = settings;
  const at = (name: string) => ({ Bucket, Key: prefix + name });

  return {
    async check(abortSignal) {
      const asked = { Bucket, Prefix: prefix, MaxKeys: 1 };
      try {
        await client.send(new s3.ListObjectsV2Command(asked), { abortSignal });
      } catch (cause) {
        if (!(cause instanceof Error) || cause.name !== "NoSuchBucket") throw cause;
        const message = `there is no bucket ${Bucket}: make it, or name another in media.s3.bucket`;
        throw new Error(message, { cause });
      }
    },

    async put(name, file, sizeBytes) {
      const part = async (start: number, end: number, send: (bytes: Uint8Array) => Promise<void>) =>
        await turns.take(async () => await send(await readExactly(file, start, end - start)));
      if (sizeBytes > PART_BYTES) return await putInParts(client, at(name), { sizeBytes, part });
      await part(0, sizeBytes, async (Body) => {
        await fromFileStore(client.send(new s3.PutObjectCommand({ ...at(name), Body })));
      });
    },

    async get(name, range) {
      // There is no way to ask for nothing.
      const part = range && range.end > range.start && `bytes=${range.start}-${range.end - 1}`;
      const asked = { ...at(name), ...(part && { Range: part }) };
      const asks = client.send(new s3.GetObjectCommand(asked)).catch(undefinedIfMissing);
      const answer = await fromFileStore(asks);
      if (!answer) return undefined;
      const sizeBytes = wholeSizeOf(answer);
      const body = answer.Body as Readable;
      if (sizeBytes >= (range?.end ?? 0)) return { body, sizeBytes };
      body.destroy();
      return undefined;
    },

    async remove(name) {
      await client.send(new s3.DeleteObjectCommand(at(name)));
    },

    async list(beginning, before) {
      const asked = { Bucket, Prefix: prefix + beginning };
      const names: string[] = [];
      for await (const page of s3.paginateListObjectsV2({ client }, asked)) {
        for (const { Key, LastModified } of page.Contents ?? []) {
          const isOld = LastModified !== undefined && LastModified.getTime() < before;
          if (isOld && Key?.startsWith(prefix)) names.push(Key.slice(prefix.length));
        }
      }
      return names;
    },

    async endUploads(before) {
      let ended = 0;
      // The first page: when the next time comes, what has been ended is not in it.
      const { Uploads = [] } = await client.send(
        new s3.ListMultipartUploadsCommand({ Bucket, Prefix: prefix }),
      );
      for (const { Key, UploadId, Initiated } of Uploads) {
        if (!Initiated || Initiated.getTime() >= before || !Key?.startsWith(prefix)) continue;
        await client.send(new s3.AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
        ended++;
      }
      return ended;
    },
  };
}

function clientOptions({ endpoint, region, pathStyle, accessKeyId, secretAccessKey }: S3Settings) {
  const isGiven = accessKeyId !== null && secretAccessKey !== null;
  return {
    region,
    forcePathStyle: pathStyle,
    ...(endpoint !== null && { endpoint }),
    // If not: from the environment, the files, or the machine's role, as every program of AWS has them.
    ...(isGiven && { credentials: { accessKeyId, secretAccessKey } }),
    // Bytes are signed with their SHA-256. More checksums are not known to all others who speak the API.
    requestChecksumCalculation: "WHEN_REQUIRED" as const,
    responseChecksumValidation: "WHEN_REQUIRED" as const,
    requestHandler: {
      connectionTimeout: 10_000,
      // Until the answer begins.
      requestTimeout: 60_000,
      throwOnRequestTimeout: true,
      // A client that takes its file slowly has a connection for as long, and must be in nobody's way.
      httpAgent: { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY },
      httpsAgent: { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY },
    },
  };
}

type Parts = {
  readonly sizeBytes: number;
  readonly part: (
    start: number,
    end: number,
    send: (bytes: Uint8Array) => Promise<void>,
  ) => Promise<unknown>;
};

/** Puts an object in parts. Nothing is left of one that does not come to its end, unless we die. */
async function putInParts(
  client: S3Client,
  object: { readonly Bucket: string; readonly Key: string },
  { sizeBytes, part }: Parts,
): Promise<void> {
  const s3 = await import("@aws-sdk/client-s3");
  const begins = client.send(new s3.CreateMultipartUploadCommand(object));
  const { UploadId } = await fromFileStore(begins);
  const upload = { ...object, UploadId };
  const partBytes = Math.max(PART_BYTES, Math.ceil(sizeBytes / MOST_PARTS));
  try {
    const done: { readonly PartNumber: number; readonly ETag: string | undefined }[] = [];
    for (let start = 0; start < sizeBytes; start += partBytes) {
      const PartNumber = done.length + 1;
      await part(start, Math.min(start + partBytes, sizeBytes), async (Body) => {
        const command = new s3.UploadPartCommand({ ...upload, PartNumber, Body });
        done.push({ PartNumber, ETag: (await fromFileStore(client.send(command))).ETag });
      });
    }
    const MultipartUpload = { Parts: done };
    const ends = new s3.CompleteMultipartUploadCommand({ ...upload, MultipartUpload });
    await fromFileStore(client.send(ends));
  } catch (error) {
    // If that fails as well, the job that sweeps will do it.
    await client.send(new s3.AbortMultipartUploadCommand(upload)).catch(() => {});
    throw error;
  }
}

/** `Content-Range: bytes 0-99/1234`; without one all of it comes. */
function wholeSizeOf({ ContentRange, ContentLength = 0 }: GetObjectCommandOutput): number {
  const whole = /\/(\d+)$/.exec(ContentRange ?? "")?.[1];
  return whole === undefined ? ContentLength : Number(whole);
}

/** @throws what it is given, unless that says that there is no such object, or no such part of it. */
function undefinedIfMissing(error: unknown): undefined {
  const name = error instanceof Error ? error.name : "";
  if (!["NoSuchKey", "NotFound", "InvalidRange"].includes(name)) throw error;
}
