import { setTimeout as sleep } from "node:timers/promises";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Call } from "#src/http/endpoint.ts";
import { allowanceOf } from "#src/http/rate-limit.ts";
import type { Requester } from "#src/kit/requester.ts";
import { contentDisposition } from "../content-type.ts";
import { findMedia, findOrFetch, type Patience } from "../find-media.ts";
import { findThumbnail } from "../find-thumbnail.ts";
import { parseMxc } from "../mxc.ts";
import type { ComingMedia } from "../remote/fetch-media.ts";
import { comingFileResponse, fileResponse } from "./file-response.ts";
import { readPatience, readThumbnail } from "./read-query.ts";

type MediaCall = Omit<Call<unknown, Requester | undefined>, "body">;

/** Answers a download. Whether one may ask is the routes' business. */
export async function serveMedia(
  hs: Homeserver,
  call: MediaCall,
  isPublic: boolean,
): Promise<Response> {
  const { params, request } = call;
  const mxc = parseMxc(params["serverName"], params["mediaId"]);
  const patience = patienceOf(hs, call);
  const found = await findOrFetch(hs, mxc, patience);
  const name = params["fileName"] ?? found.filename;
  const disposition = contentDisposition(found.contentType, name);
  if (!("blobKey" in found) && !(await isSoonHere(found, request))) {
    const { contentType } = found;
    return comingFileResponse(await found.stream(), { contentType, disposition, isPublic });
  }
  const media = "blobKey" in found ? found : await findMedia(hs, mxc, patience);
  return await fileResponse(hs, request, {
    source: media,
    sizeBytes: media.sizeBytes,
    contentType: media.contentType,
    disposition,
    version: Buffer.from(media.sha256).toString("base64url"),
    isPublic,
  });
}

/** Of what has to be fetched from elsewhere each piece of some size counts as an upload does. */
function patienceOf(hs: Homeserver, call: MediaCall): Patience {
  const { query, signal } = call;
  return readPatience(query, { signal, allowance: allowanceOf(hs, "media", call) });
}

/** How long something that comes from elsewhere is waited for, so that it can be said how large it is. */
const SOON_MS = 200;

/** Whether media is here, or, if only part of it is wanted, waits until it is. */
async function isSoonHere({ whole }: ComingMedia, request: MediaCall["request"]): Promise<boolean> {
  const here = whole.then(() => true);
  const isPart = request.method !== "GET" || request.header("range") !== undefined;
  return await (isPart ? here : Promise.race([here, sleep(SOON_MS, false, { ref: false })]));
}

/** Answers the download of a thumbnail. */
export async function serveThumbnail(
  hs: Homeserver,
  call: MediaCall,
  isPublic: boolean,
): Promise<Response> {
  const { params, query, request } = call;
  const mxc = parseMxc(params["serverName"], params["mediaId"]);
  const spec = readThumbnail(query);
  const media = await findMedia(hs, mxc, patienceOf(hs, call));
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
