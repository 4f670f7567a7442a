import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import type { Config } from "#src/config/config.ts";
import type { Sql } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { mount } from "#src/http/mount.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { authedContentRepoEndpoints } from "./routes/authed-content-repo.ts";
import { contentRepoEndpoints } from "./routes/content-repo.ts";

/** Homeservers on one database and one media directory, with the media routes on real sockets. */
export type MediaServers = {
  readonly all: readonly { readonly hs: Homeserver; readonly url: string }[];
  /** Sends a request to the first of them, or to another, as `alice` unless said otherwise. */
  fetch(path: string, options?: MediaRequest): Promise<Response>;
  readonly directory: string;
  readonly sql: Sql;
  close(): Promise<void>;
};

export type MediaRequest = RequestInit & {
  readonly as?: string | null;
  readonly server?: number;
  readonly duplex?: "half";
};

/** Starts servers of media for a test. The token of `alice` is `alice`. */
export async function mediaServers(
  count: number,
  settings: Partial<Config["media"]> = {},
): Promise<MediaServers> {
  const servers = await testHomeservers(count);
  const directory = mkdtempSync(join(tmpdir(), "media-"));
  const opened: { hs: Homeserver; url: string; http: Server }[] = [];
  for (const plain of servers.all) {
    const media = { ...plain.config.media, directory, ...settings };
    const hs = { ...plain, config: { ...plain.config, media } };
    const app = mount(hs, [...contentRepoEndpoints, ...authedContentRepoEndpoints], lookUp);
    const http = createAdaptorServer({ fetch: app.fetch }) as Server;
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    const address = http.address();
    const port = typeof address === "object" ? address?.port : undefined;
    opened.push({ hs, http, url: `http://127.0.0.1:${port}` });
  }
  return {
    all: opened,
    directory,
    sql: servers.hs.sql,
    async fetch(path, { as = "alice", server = 0, ...init } = {}) {
      const headers = new Headers(init.headers);
      if (as !== null) headers.set("authorization", `Bearer ${as}`);
      return await fetch(`${opened[server]?.url}${path}`, { ...init, headers });
    },
    async close() {
      for (const { http } of opened) {
        http.close();
        http.closeAllConnections();
      }
      await servers.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function lookUp(hs: Homeserver, token: string): Promise<Requester> {
  if (!/^[a-z]+$/.test(token)) throw new MatrixError("M_UNKNOWN_TOKEN", "Unknown access token");
  return { ...(await testUser(hs, token)), isGuest: token === "guest" };
}
