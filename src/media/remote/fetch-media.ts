import type { Readable } from "node:stream";
import type { BlobWriter } from "#src/homeserver/blob-store.ts";
import { blobsOf } from "#src/homeserver/blobs.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RemoteAnswer, RemoteMedia } from "#src/homeserver/remotes.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { within } from "#src/kit/within.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { filenameIn, readContentType } from "../content-type.ts";
import { createCopyBlob } from "../create-copy-blob.ts";
import { type Mxc, mxcUri } from "../mxc.ts";
import { insertCopy } from "../queries-media.ts";
import { type ReceivedBlob, receiveInto } from "../receive-blob.ts";

/** Media of another server that is on its way here. */
export type ComingMedia = {
  readonly contentType: string;
  readonly filename: string | undefined;
  /** Its bytes, those that have come and those that will. */
  stream(): Promise<ReadableStream<Uint8Array>>;
  /** Resolves when all of it is here and is known by its URI. */
  readonly whole: Promise<void>;
};

/** For how long, and at whose cost, something is fetched. */
export type FetchPatience = {
  /** How long the other server may wait for its upload. */
  readonly timeoutMs: number;
  readonly allowance: Allowance;
};

/** What is on its way, by URI: however many want it, it is asked for once. */
const comingOf = held(() => new Map<string, Asked>());

type Asked = {
  readonly coming: Promise<ComingMedia>;
  /** Until when the other server may wait for its upload, by this process's own clock. */
  readonly untilMs: number;
};

/** By how much longer than others somebody has to be willing to wait for it to be asked for once more. */
const MORE_MS = 1_000;

/**
 * Fetches media from the server whose it is, and keeps a copy. Whoever wants it meanwhile has it as it comes, and waits
 * for that as long as they are willing to, whoever has asked for it first.
 *
 * @throws MatrixError M_NOT_FOUND if the server does not have it, or does not answer; M_NOT_YET_UPLOADED;
 *   M_TOO_LARGE (502); M_LIMIT_EXCEEDED if there is no room for it now, or whoever wants it
 *   has had too much.
 * @spec server-server-api#content-repository
 */
export async function fetchMedia(
  hs: Homeserver,
  mxc: Mxc,
  patience: FetchPatience,
): Promise<ComingMedia> {
  const untilMs = performance.now() + patience.timeoutMs;
  for (;;) {
    const leftMs = Math.ceil(Math.max(0, untilMs - performance.now()));
    const already = comingOf(hs).get(mxcUri(mxc));
    if (!already) return await fetchAnew(hs, mxc, { ...patience, timeoutMs: leftMs });
    try {
      // As long as the server may take to answer if it waits for nothing.
      const mostMs = leftMs + hs.config.federation.requestTimeoutMs;
      return await within(mostMs, already.coming, notYetUploaded);
    } catch (error) {
      const isNotYet = error instanceof MatrixError && error.errcode === "M_NOT_YET_UPLOADED";
      const isOver = Math.max(already.untilMs, performance.now()) + MORE_MS > untilMs;
      if (!isNotYet || isOver) throw error;
    }
  }
}

async function fetchAnew(hs: Homeserver, mxc: Mxc, patience: FetchPatience): Promise<ComingMedia> {
  const all = comingOf(hs);
  const uri = mxcUri(mxc);
  const forget = () => void all.delete(uri);
  patience.allowance.require();
  const coming = begin(hs, mxc, patience);
  all.set(uri, { coming, untilMs: performance.now() + patience.timeoutMs });
  // As long as it comes. Those who wait for it hear of failures.
  void coming.then((it) => it.whole.then(forget, forget), forget);
  return await coming;
}

async function begin(
  hs: Homeserver,
  mxc: Mxc,
  { timeoutMs, allowance }: FetchPatience,
): Promise<ComingMedia> {
  const { mediaId, origin } = mxc;
  const answer = await hs.remotes.getContent(origin, { mediaId, timeoutMs });
  if (!answer.ok) throw refusalOf(answer);
  const { body, contentDisposition } = answer.body;
  const about = {
    contentType: readContentType(answer.body.contentType),
    filename: filenameIn(contentDisposition),
  };
  const writer = await newBlob(hs, body, allowance);
  const limits = { limitBytes: hs.config.media.maxUploadBytes, direction: "in" } as const;
  const receiving = receiveInto(writer, body, limits).catch((error: unknown) => {
    // What is not wanted any more would keep one of the connections to its server until its time is up.
    body.destroy();
    throw error;
  });
  const whole = keep(hs, mxc, about, receiving);
  return { ...about, stream: async () => await writer.follow(), whole };
}

async function newBlob(hs: Homeserver, body: Readable, allowance: Allowance): Promise<BlobWriter> {
  try {
    return await createCopyBlob(hs, allowance);
  } catch (error) {
    body.destroy();
    throw error;
  }
}

async function keep(
  hs: Homeserver,
  mxc: Mxc,
  about: Pick<ComingMedia, "contentType" | "filename">,
  receiving: Promise<ReceivedBlob>,
): Promise<void> {
  let blob: ReceivedBlob;
  try {
    blob = await receiving;
  } catch (error) {
    throw failureOf(error);
  }
  const isOurs = await insertCopy(hs.sql, mxc, { ...about, ...blob, now: hs.now() });
  if (!isOurs) await blobsOf(hs).remove([blob.blobKey]);
  hs.log.info({ media: mxcUri(mxc), sizeBytes: blob.sizeBytes }, "media fetched");
}

function refusalOf(answer: Extract<RemoteAnswer<RemoteMedia>, { ok: false }>): MatrixError {
  if (answer.why === "refused") {
    if (answer.errcode === "M_NOT_YET_UPLOADED") {
      return notYetUploaded();
    }
    if (answer.errcode === "M_TOO_LARGE") return tooLarge();
    return new MatrixError("M_NOT_FOUND", "The media's server does not give it to us");
  }
  return new MatrixError("M_NOT_FOUND", "The media's server cannot be reached");
}

function notYetUploaded(): MatrixError {
  return new MatrixError("M_NOT_YET_UPLOADED", "The media has not been uploaded yet");
}

function failureOf(error: unknown): Error {
  const causes = error instanceof Error ? [error, error.cause] : [];
  const isTooLarge = causes.some(
    (it) =>
      (it instanceof OutboundError && it.fault === "too-large") ||
      (it instanceof MatrixError && it.errcode === "M_TOO_LARGE"),
  );
  if (isTooLarge) return tooLarge();
  const isTheirs = error instanceof MatrixError && error.errcode !== "M_LIMIT_EXCEEDED";
  if (!isTheirs) return error as Error;
  return new MatrixError("M_UNKNOWN", "The media's server did not send all of it", {
    status: 502,
    cause: error,
  });
}

function tooLarge(): MatrixError {
  return new MatrixError("M_TOO_LARGE", "The media is too large to be fetched", { status: 502 });
}
