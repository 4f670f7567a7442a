import { Readable } from "node:stream";
import type { AskOptions } from "#src/homeserver/ask-options.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RemoteAnswer, RemoteMedia, Remotes } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { collectBody } from "#src/outbound/collect-body.ts";
import { destinationOfUrl } from "#src/outbound/destination.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { discard, type OutboundStream, streamRequest } from "#src/outbound/send-request.ts";
import { type Question, reach, refusalOf } from "./ask-server.ts";
import { boundaryOf, type MediaPart, readMediaPart } from "./multipart.ts";
import { path, withQuery } from "./uri.ts";

/** How long media may take to come whole. */
const WHOLE_MS = 15 * 60_000;

/** How long other servers wait by themselves for an upload. */
const DEFAULT_WAIT_MS = 20_000;

const MOST_ERROR_BYTES = 64 * 1024;

/** How often the place of media may be elsewhere again. */
const MOST_REDIRECTS = 3;

type MediaQuestions = Pick<Remotes, "getContent" | "getContentThumbnail">;

/** What other servers can be asked about their media. @spec server-server-api#content-repository */
export function mediaQuestions(hs: Homeserver): MediaQuestions {
  return {
    /** @spec server-server-api#get_matrixfederationv1mediadownloadmediaid */
    getContent: async (server, { mediaId, timeoutMs = DEFAULT_WAIT_MS }, options) => {
      const uri = path`/_matrix/federation/v1/media/download/${mediaId}`;
      return await askForMedia(hs, server, options, {
        operation: "getContent",
        method: "GET",
        uri: withQuery(uri, { timeout_ms: timeoutMs }),
        oldUri: withQuery(path`/_matrix/media/v3/download/${server}/${mediaId}`, {
          allow_remote: false,
          timeout_ms: timeoutMs,
        }),
        waitMs: timeoutMs,
      });
    },
    /** @spec server-server-api#get_matrixfederationv1mediathumbnailmediaid */
    getContentThumbnail: async (server, question, options) => {
      const { mediaId, timeoutMs = DEFAULT_WAIT_MS, ...query } = question;
      const uri = path`/_matrix/federation/v1/media/thumbnail/${mediaId}`;
      return await askForMedia(hs, server, options, {
        operation: "getContentThumbnail",
        method: "GET",
        uri: withQuery(uri, { ...query, timeout_ms: timeoutMs }),
        oldUri: withQuery(path`/_matrix/media/v3/thumbnail/${server}/${mediaId}`, {
          ...query,
          allow_remote: false,
          timeout_ms: timeoutMs,
        }),
        waitMs: timeoutMs,
      });
    },
  };
}

type MediaRequest = Question & {
  /** How long the other server may wait for the upload. */
  readonly waitMs: number;
  /** What to ask instead of a server that does not know of the other. */
  readonly oldUri: string;
};

type MediaLimits = {
  readonly timeoutMs: number;
  readonly headersMs: number;
  readonly mostBytes: number;
  readonly signal?: AbortSignal;
};

async function askForMedia(
  hs: Homeserver,
  server: ServerName,
  options: AskOptions = {},
  { waitMs, oldUri, ...question }: MediaRequest,
): Promise<RemoteAnswer<RemoteMedia>> {
  const limits: MediaLimits = {
    timeoutMs: options.timeoutMs ?? WHOLE_MS,
    headersMs: hs.config.federation.requestTimeoutMs + waitMs,
    mostBytes: hs.config.media.maxUploadBytes,
    ...(options.signal && { signal: options.signal }),
  };
  try {
    const answer = await reach(hs, server, question, (request) =>
      streamRequest(hs, { ...request, ...limits }),
    );
    if (answer.status !== 200) {
      const refusal = await readRefusal(hs, answer);
      if (!isUnknownRoute(refusal)) return refusal;
      return await askOldRoute(hs, server, { ...question, uri: oldUri, isUnsigned: true }, limits);
    }
    const boundary = boundaryOf(answer.headers.get("content-type"));
    if (boundary === undefined) {
      discard(answer.body);
      return { ok: false, why: "malformed", cause: new TypeError("not multipart/mixed") };
    }
    const part = await partOf(answer, boundary);
    const location = part.headers.get("location");
    if (location === undefined) {
      return { ok: true, body: mediaOf(part.headers, part.content, { ...limits, answer }) };
    }
    discard(answer.body);
    const elsewhere = await followLocation(hs, location, { ...question, ...limits });
    const headers = new Map([...part.headers, ...elsewhere.headers]);
    const body = mediaOf(headers, elsewhere.body, { ...limits, answer: elsewhere });
    return { ok: true, body };
  } catch (cause) {
    return { ok: false, why: "unreachable", cause };
  }
}

/** @throws OutboundError of a body that is none, of which no more is read then. */
async function partOf({ body }: OutboundStream, boundary: string): Promise<MediaPart> {
  try {
    return await readMediaPart(body as AsyncIterable<Buffer>, boundary);
  } catch (error) {
    discard(body);
    throw error;
  }
}

async function readRefusal(hs: Homeserver, answer: OutboundStream): Promise<RemoteAnswer<never>> {
  const body = await collectBody(hs, answer.body, MOST_ERROR_BYTES);
  return await refusalOf(hs, { ...answer, body });
}

const PAGES: ReadonlySet<number> = new Set([400, 404, 405]);

function isUnknownRoute(refusal: RemoteAnswer<never>): boolean {
  if (refusal.ok || refusal.why !== "refused") return false;
  // Servers from before there was a word for it say it with a page of their own.
  const isPage = PAGES.has(refusal.status) && refusal.body["errcode"] === undefined;
  return isPage || refusal.errcode === "M_UNRECOGNIZED";
}

/**
 * Asks as it was before servers asked each other: for the media itself, as anybody could.
 *
 * @throws OutboundError
 * @spec client-server-api#get_matrixmediav3downloadservernamemediaid
 */
async function askOldRoute(
  hs: Homeserver,
  server: ServerName,
  question: Question,
  limits: MediaLimits,
): Promise<RemoteAnswer<RemoteMedia>> {
  const answer = await reach(hs, server, question, (request) =>
    streamRequest(hs, { ...request, ...limits }),
  );
  if (answer.status !== 200) return await readRefusal(hs, answer);
  return { ok: true, body: mediaOf(answer.headers, answer.body, { ...limits, answer }) };
}

/** @throws OutboundError also for an answer other than 200. */
async function followLocation(
  hs: Homeserver,
  location: string,
  { operation, ...limits }: Question & { timeoutMs: number; headersMs: number; mostBytes: number },
): Promise<OutboundStream> {
  const place = URL.canParse(location) ? destinationOfUrl(new URL(location)) : undefined;
  if (place?.destination.protocol !== "https:") {
    throw new OutboundError("redirect", "the media is said to be where no HTTPS leads");
  }
  const answer = await streamRequest(hs, {
    ...limits,
    ...place,
    purpose: operation,
    mostRedirects: MOST_REDIRECTS,
  });
  if (answer.status === 200) return answer;
  discard(answer.body);
  throw new OutboundError("broken", `the media's place answers ${answer.status}`);
}

function mediaOf(
  headers: ReadonlyMap<string, string>,
  content: AsyncIterable<Buffer>,
  { mostBytes, answer }: { readonly mostBytes: number; readonly answer: OutboundStream },
): RemoteMedia {
  const contentType = headers.get("content-type");
  const contentDisposition = headers.get("content-disposition");
  const body = Readable.from(limited(content, mostBytes), { objectMode: false });
  // Also if nobody has begun to read it.
  body.once("close", () => discard(answer.body));
  return {
    ...(contentType !== undefined && { contentType }),
    ...(contentDisposition !== undefined && { contentDisposition }),
    body,
  };
}

/** Ends with an error when there is more than there may be. */
async function* limited(content: AsyncIterable<Buffer>, mostBytes: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > mostBytes) throw new OutboundError("too-large", `more than ${mostBytes} bytes`);
    yield chunk;
  }
}
