import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Call } from "#src/http/endpoint.ts";
import { contentDisposition } from "../content-type.ts";
import { findMedia } from "../find-media.ts";
import { findThumbnail } from "../find-thumbnail.ts";
import { parseMxc } from "../mxc.ts";
import { fileResponse } from "./file-response.ts";
import { readThumbnail, readTimeout } from "./read-query.ts";

type MediaCall = Omit<Call<unknown, unknown>, "body" | "requester">;

/** Answers a download. Whether one may ask is the routes' business. */
export async function serveMedia(
  hs: Homeserver,
  { params, query, request, signal }: MediaCall,
  isPublic: boolean,
): Promise<Response> {
  const mxc = parseMxc(params["serverName"], params["mediaId"]);
  const media = await findMedia(hs, mxc, { timeoutMs: readTimeout(query), signal });
  return await fileResponse(hs, request, {
    source: media,
    sizeBytes: media.sizeBytes,
    contentType: media.contentType,
    disposition: contentDisposition(media.contentType, params["fileName"] ?? media.filename),
    version: Buffer.from(media.sha256).toString("base64url"),
    isPublic,
  });
}

/** Answers the download of a thumbnail. */
export async function serveThumbnail(
  hs: Homeserver,
  { params, query, request, signal }: MediaCall,
  isPublic: boolean,
): Promise<Response> {
  const mxc = parseMxc(params["serverName"], params["mediaId"]);
  const spec = readThumbnail(query);
  const media = await findMedia(hs, mxc, { timeoutMs: readTimeout(query), signal });
  const thumbnail = await findThumbnail(hs, media, spec);
  const type = thumbnail.contentType.replace("image/", "");
  // Its own name of the size rather than of the bytes, which nobody has hashed.
  const size = [spec.width, spec.height, spec.method, spec.animated].join("-");
  return await fileResponse(hs, request, {
    source: thumbnail,
    sizeBytes: "bytes" in thumbnail ? thumbnail.bytes.length : thumbnail.sizeBytes,
    contentType: thumbnail.contentType,
    disposition: `inline; filename="thumbnail.${type}"`,
    version: "bytes" in thumbnail ? `${mxc.mediaId}-${size}` : thumbnail.blobKey,
    isPublic,
  });
}
