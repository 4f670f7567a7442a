import { ENDPOINTS } from "#src/app.ts";

/** A route of the server under test, as far as tests may know of it. */
export type MountedRoute = {
  readonly operation: string;
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** With `:name` for a parameter. */
  readonly path: string;
  /** Who may call it: users with a token, anybody (and some tell application services apart), or other servers. */
  readonly auth: "user" | "none" | "optional" | "appservice" | "server";
  /** Whether it reads a JSON body. */
  readonly hasBody: boolean;
};

/** Every route of the server under test, once for each of its paths. */
const MOUNTED_ROUTES: readonly MountedRoute[] = ENDPOINTS.flatMap((it) =>
  [it.path].flat().map((path) => ({
    operation: it.operation,
    method: it.method,
    path: path.replace("{.*}", ""),
    auth: it.auth,
    hasBody: it.body !== undefined,
  })),
);

/** Those that other servers call, signed or not. */
const OF_SERVERS = /^\/(?:_matrix\/(?:federation|key|policy)\/|\.well-known\/matrix\/server$)/;

export const SERVER_ROUTES: readonly MountedRoute[] = MOUNTED_ROUTES.filter((it) =>
  OF_SERVERS.test(it.path),
);

/** Those that clients and administrators call, rather than other servers. */
export const CLIENT_ROUTES: readonly MountedRoute[] = MOUNTED_ROUTES.filter(
  (it) => !SERVER_ROUTES.includes(it),
);
