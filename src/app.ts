import type { Hono } from "hono";
import type { HttpBindings } from "@hono/node-server";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Endpoint } from "#src/http/endpoint.ts";
import { mount } from "#src/http/mount.ts";
import { authedContentRepoEndpoints } from "#src/media/routes/authed-content-repo.ts";
import { contentRepoEndpoints } from "#src/media/routes/content-repo.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** Every route of this server. */
export const ENDPOINTS: readonly Endpoint[] = [
  ...contentRepoEndpoints,
  ...authedContentRepoEndpoints,
];

/** The server's side of HTTP: all routes, and who may call them. */
export function appOf(hs: Homeserver): Hono<{ Bindings: HttpBindings }> {
  return mount(hs, ENDPOINTS, () => {
    throw new MatrixError("M_UNKNOWN_TOKEN", "Unknown access token");
  });
}
