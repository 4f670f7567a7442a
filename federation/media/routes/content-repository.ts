import { blobsOf } from "#src/homeserver/blobs.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { contentDisposition } from "#src/media/content-type.ts";
import { findMedia } from "#src/media/find-media.ts";
import { findThumbnail, type FoundThumbnail } from "#src/media/find-thumbnail.ts";
import { mediaBytes } from "#src/media/media-metrics.ts";
import { parseMxc } from "#src/media/mxc.ts";
import { readPatience, readThumbnail } from "#src/media/routes/read-query.ts";
import { type MultipartBody, multipartAround } from "../multipart-body.ts";

const MEDIA = "/_matrix/federation/v1/media";

/** The specification's `content_repository.yaml`: our media, for other servers. */
export const contentRepositoryEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1mediadownloadmediaid */
  serverEndpoint({
    operation: "getContent",
    method: "GET",
    path: `${MEDIA}/download/:mediaId`,
    async handle(hs, { params, query, signal }) {
      const media = await findMedia(hs, ownMxc(hs, params), readPatience(query, { signal }));
      return await mediaResponse(hs, media, contentDisposition(media.contentType, media.filename));
    },
  }),
  /** @spec server-server-api#get_matrixfederationv1mediathumbnailmediaid */
  serverEndpoint({
    operation: "getContentThumbnail",
    method: "GET",
    path: `${MEDIA}/thumbnail/:mediaId`,
    async handle(hs, { params, query, signal }) {
      const spec = readThumbnail(query);
      const media = await findMedia(hs, ownMxc(hs, params), readPatience(query, { signal }));
      const thumbnail = await findThumbnail(hs, media, spec);
      return await mediaResponse(hs, thumbnail, "inline");
    },
  }),
];

/** @throws MatrixError M_INVALID_PARAM */
function ownMxc(hs: Homeserver, params: Readonly<Record<string, string>>) {
  return parseMxc(hs.name, params["mediaId"]);
}

async function mediaResponse(
  hs: Homeserver,
  media: FoundThumbnail,
  disposition: string,
): Promise<Response> {
  const around = multipartAround({
    "Content-Type": media.contentType,
    "Content-Disposition": disposition,
  });
  const { content, sizeBytes } = await contentOf(hs, media);
  mediaBytes.inc({ direction: "out" }, sizeBytes);
  return new Response(bodyOf(around, content), {
    headers: {
      "content-type": `multipart/mixed; boundary=${around.boundary}`,
      "content-length": String(around.before.length + sizeBytes + around.after.length),
    },
  });
}

async function contentOf(
  hs: Homeserver,
  media: FoundThumbnail,
): Promise<{ content: ReadableStream<Uint8Array>; sizeBytes: number }> {
  if ("bytes" in media) {
    return { content: ReadableStream.from([media.bytes]), sizeBytes: media.bytes.length };
  }
  const reader = await blobsOf(hs).open(media.blobKey);
  if (!reader) {
    hs.log.error({ blobKey: media.blobKey }, "a file is missing from the media store");
    throw new MatrixError("M_NOT_FOUND", "The media has been lost");
  }
  return { content: reader.stream(), sizeBytes: reader.sizeBytes };
}

/** The whole as it is taken. Whoever goes away, however early, has the file closed: one that is left open ends the process. */
function bodyOf(
  { before, after }: MultipartBody,
  content: ReadableStream<Uint8Array>,
): ReadableStream<Uint8Array> {
  const reader = content.getReader();
  let isBegun = false;
  return new ReadableStream(
    {
      async pull(controller) {
        if (!isBegun) {
          isBegun = true;
          controller.enqueue(before);
          return;
        }
        const { done, value } = await reader.read();
        controller.enqueue(done ? after : value);
        if (done) controller.close();
      },
      cancel: async (reason) => await reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
