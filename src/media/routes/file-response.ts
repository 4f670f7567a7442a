import type { BlobKey, ByteRange } from "#src/homeserver/blob-store.ts";
import { blobsOf } from "#src/homeserver/blobs.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { CORS_HEADERS, type Call } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { readByteRange } from "../byte-range.ts";
import { mediaBytes } from "../media-metrics.ts";

/** Something to send that is not JSON. */
export type ServedFile = {
  /** Where its bytes are: in the blob store or, if small and not kept, here. */
  readonly source: { readonly blobKey: BlobKey } | { readonly bytes: Uint8Array };
  readonly sizeBytes: number;
  readonly contentType: string;
  /** The whole `Content-Disposition` header. */
  readonly disposition: string;
  /** Differs if the bytes do: letters, digits, `-` and `_`. */
  readonly version: string;
  /** Whether it is sent to anybody, without a token. Then caches may share it. */
  readonly isPublic: boolean;
};

type Request = Call<unknown, unknown>["request"];

/** Up to this size a file is read at once; a stream would cost more than it saves. */
const AT_ONCE_BYTES = 64 * 1024;

/** What stands at a URI never changes, but it may be deleted: so caches ask again after a day. */
const CACHED = "max-age=86400, immutable";

/** What somebody has uploaded must not act as a web page of ours. */
const SAFETY_HEADERS = {
  "content-security-policy":
    "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; style-src 'unsafe-inline'; object-src 'self';",
  "cross-origin-resource-policy": "cross-origin",
  "x-content-type-options": "nosniff",
};

/**
 * The response with a file: the whole of it, the range that was asked for, or that the client has it
 * already. It is streamed from the store as the client takes it.
 *
 * @throws MatrixError M_NOT_FOUND if the file is missing from the store.
 * @spec client-server-api#content-repository
 */
export async function fileResponse(
  hs: Homeserver,
  request: Request,
  file: ServedFile,
): Promise<Response> {
  const etag = `"${file.version}"`;
  const headers = {
    ...CORS_HEADERS,
    ...SAFETY_HEADERS,
    etag,
    "cache-control": `${file.isPublic ? "public" : "private"}, ${CACHED}`,
    "accept-ranges": "bytes",
    "content-disposition": file.disposition,
    "content-type": file.contentType,
  };
  if (matches(request.header("if-none-match"), etag)) {
    return new Response(null, { status: 304, headers });
  }

  const range = wantedRange(request, file, etag);
  if (range === "unsatisfiable") {
    // Not a part of the file but an error, though one with an empty body.
    return new Response(null, {
      status: 416,
      headers: { ...headers, "content-range": `bytes */${file.sizeBytes}`, "content-length": "0" },
    });
  }
  const { start, end } = range ?? { start: 0, end: file.sizeBytes };
  const body = request.method === "HEAD" ? null : await bodyOf(hs, file, { start, end });
  if (body !== null) mediaBytes.inc({ direction: "down" }, end - start);
  return new Response(body, {
    status: range ? 206 : 200,
    headers: {
      ...headers,
      "content-length": String(end - start),
      ...(range && { "content-range": `bytes ${start}-${end - 1}/${file.sizeBytes}` }),
    },
  });
}

/** The response with a file that is still on its way here, as it comes: nobody knows how large it is. */
export function comingFileResponse(
  body: ReadableStream<Uint8Array>,
  { contentType, disposition, isPublic }: Omit<ServedFile, "source" | "sizeBytes" | "version">,
): Response {
  const counted = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        mediaBytes.inc({ direction: "down" }, chunk.length);
        controller.enqueue(chunk);
      },
    }),
  );
  return new Response(counted, {
    headers: {
      ...CORS_HEADERS,
      ...SAFETY_HEADERS,
      "cache-control": `${isPublic ? "public" : "private"}, ${CACHED}`,
      "content-disposition": disposition,
      "content-type": contentType,
    },
  });
}

function wantedRange(request: Request, file: ServedFile, etag: string) {
  const condition = request.header("if-range");
  if (condition !== undefined && condition !== etag) return undefined;
  return readByteRange(request.header("range"), file.sizeBytes);
}

async function bodyOf(hs: Homeserver, file: ServedFile, range: ByteRange) {
  const { start, end } = range;
  if ("bytes" in file.source) return new Uint8Array(file.source.bytes.subarray(start, end));
  const reader = await blobsOf(hs).open(file.source.blobKey, range);
  if (reader?.sizeBytes !== file.sizeBytes) {
    await reader?.close();
    hs.log.error({ blobKey: file.source.blobKey }, "a file is missing from the media store");
    throw new MatrixError("M_NOT_FOUND", "The media has been lost");
  }
  return end - start <= AT_ONCE_BYTES ? await reader.bytes() : reader.stream();
}

/** Whether an `If-None-Match` header names what we would send. */
function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.split(",").some((it) => {
    const one = it.trim().replace(/^W\//, "");
    return one === etag || one === "*";
  });
}
