import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, openEndpoint, userEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { createMedia } from "../create-media.ts";
import { mxcUri, parseMxc } from "../mxc.ts";
import { type Upload, uploadMedia, uploadToMxc } from "../upload-media.ts";
import { serveMedia, serveThumbnail } from "./serve-media.ts";

/** A path under both of its names; a third, `r0`, comes by itself. */
const media = (path: string) => [`/_matrix/media/v3/${path}`, `/_matrix/media/v1/${path}`];

/** The spec's `content-repo.yaml`: uploads, and the deprecated ways of fetching without an access token. */
export const contentRepoEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "uploadContent",
    method: "POST",
    path: media("upload"),
    rate: "media",
    async handle(hs, { requester, ...call }) {
      const mxc = await uploadMedia(hs, requester, uploadOf(call));
      return { content_uri: mxcUri(mxc) };
    },
  }),
  userEndpoint({
    operation: "uploadContentToMXC",
    method: "PUT",
    path: media("upload/:serverName/:mediaId"),
    rate: "media",
    async handle(hs, { requester, params, ...call }) {
      const mxc = parseMxc(params["serverName"], params["mediaId"]);
      await uploadToMxc(hs, requester, mxc, uploadOf(call));
      return {};
    },
  }),
  userEndpoint({
    operation: "createContent",
    method: "POST",
    path: "/_matrix/media/v1/create",
    rate: "media",
    async handle(hs, { requester }) {
      const { mxc, expiresAtMs } = await createMedia(hs, requester);
      return { content_uri: mxcUri(mxc), unused_expires_at: expiresAtMs };
    },
  }),
  userEndpoint({
    operation: "getConfig",
    method: "GET",
    path: media("config"),
    handle: (hs) => ({ "m.upload.size": hs.config.media.maxUploadBytes }),
  }),
  openEndpoint({
    operation: "getContent",
    method: "GET",
    path: media("download/:serverName/:mediaId"),
    auth: "none",
    handle: async (hs, call) => await serveMedia(unfrozen(hs), call, true),
  }),
  openEndpoint({
    operation: "getContentOverrideName",
    method: "GET",
    path: media("download/:serverName/:mediaId/:fileName"),
    auth: "none",
    handle: async (hs, call) => await serveMedia(unfrozen(hs), call, true),
  }),
  openEndpoint({
    operation: "getContentThumbnail",
    method: "GET",
    path: media("thumbnail/:serverName/:mediaId"),
    auth: "none",
    handle: async (hs, call) => await serveThumbnail(unfrozen(hs), call, true),
  }),
];

/** A file as a request brings it. */
function uploadOf({
  query,
  request,
  incoming,
}: Pick<Call<unknown, unknown>, "query" | "request" | "incoming">): Upload {
  const declared = request.header("content-length");
  return {
    body: {
      source: incoming,
      declaredBytes: declared === undefined ? undefined : Number(declared),
    },
    contentType: request.header("content-type"),
    filename: query.get("filename") ?? undefined,
  };
}

/**
 * The homeserver, if it serves media without an access token. All media here are newer than
 * authenticated access, so the freeze that the specification asks for leaves none.
 *
 * @throws MatrixError M_NOT_FOUND
 * @spec client-server-api#client-behaviour-idcontent-repo-client-behaviour
 */
function unfrozen(hs: Homeserver): Homeserver {
  if (hs.config.media.unauthenticatedAccess) return hs;
  throw new MatrixError("M_NOT_FOUND", "Media is served to those who show an access token");
}
