import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { allowanceOf } from "#src/http/rate-limit.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { type Preview, previewOf } from "../make-preview.ts";

/** Of `authed-content-repo.yaml` and `content-repo.yaml` what tells of URLs. */
export const previewEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getUrlPreviewAuthed",
    method: "GET",
    path: "/_matrix/client/v1/media/preview_url",
    rate: "media",
    handle: async (hs, call) => await answer(hs, call),
  }),
  userEndpoint({
    operation: "getUrlPreview",
    method: "GET",
    path: ["/_matrix/media/v3/preview_url", "/_matrix/media/v1/preview_url"],
    rate: "media",
    handle: async (hs, call) => await answer(hs, call),
  }),
];

async function answer(hs: Homeserver, call: Call<unknown, Requester>): Promise<Preview> {
  if (!hs.config.previews.enabled) {
    throw new MatrixError("M_FORBIDDEN", "This server does not fetch what URLs lead to");
  }
  const url = call.query.get("url");
  if (url === null) throw new MatrixError("M_MISSING_PARAM", "Missing url");
  return await previewOf(hs, url, allowanceOf(hs, "media", call));
}
