import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { serveMedia, serveThumbnail } from "./serve-media.ts";

const MEDIA = "/_matrix/client/v1/media";

/** The spec's `authed-content-repo.yaml`: fetching media with an access token. */
export const authedContentRepoEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getContentAuthed",
    method: "GET",
    path: `${MEDIA}/download/:serverName/:mediaId`,
    guests: true,
    handle: async (hs, call) => await serveMedia(hs, call, false),
  }),
  userEndpoint({
    operation: "getContentOverrideNameAuthed",
    method: "GET",
    path: `${MEDIA}/download/:serverName/:mediaId/:fileName`,
    guests: true,
    handle: async (hs, call) => await serveMedia(hs, call, false),
  }),
  userEndpoint({
    operation: "getContentThumbnailAuthed",
    method: "GET",
    path: `${MEDIA}/thumbnail/:serverName/:mediaId`,
    guests: true,
    handle: async (hs, call) => await serveThumbnail(hs, call, false),
  }),
  userEndpoint({
    operation: "getConfigAuthed",
    method: "GET",
    path: `${MEDIA}/config`,
    handle: (hs) => ({ "m.upload.size": hs.config.media.maxUploadBytes }),
  }),
];
