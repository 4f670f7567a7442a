import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { asking } from "./ask-server.ts";
import { path, withQuery } from "./uri.ts";

/** A server's own keys, with their signatures: some hundred bytes. */
const MOST_KEY_BYTES = 64 * 1024;

const ServerKeys = z.object({ server_keys: z.array(JsonObject).max(10_000) });

const Version = z
  .object({
    server: z
      .object({ name: z.string().exactOptional(), version: z.string().exactOptional() })
      .default({}),
  })
  .transform(({ server }) => server);

type KeyQuestions = Pick<
  Remotes,
  "getVersion" | "getServerKey" | "perspectivesKeyQuery" | "bulkPerspectivesKeyQuery"
>;

/** What other servers tell anybody: what they are, and by which keys they and others can be known. */
export function keyQuestions(hs: Homeserver): KeyQuestions {
  return {
    /** @spec server-server-api#get_matrixfederationv1version */
    getVersion: asking(hs, Version, () => ({
      operation: "getVersion",
      method: "GET",
      uri: "/_matrix/federation/v1/version",
      isUnsigned: true,
      mostBytes: MOST_KEY_BYTES,
    })),
    /** @spec server-server-api#get_matrixkeyv2server */
    getServerKey: asking(hs, JsonObject, () => ({
      operation: "getServerKey",
      method: "GET",
      uri: "/_matrix/key/v2/server",
      isUnsigned: true,
      mostBytes: MOST_KEY_BYTES,
    })),
    /** @spec server-server-api#get_matrixkeyv2queryservername */
    perspectivesKeyQuery: asking(hs, ServerKeys, ({ serverName, ...query }) => ({
      operation: "perspectivesKeyQuery",
      method: "GET",
      uri: withQuery(path`/_matrix/key/v2/query/${serverName}`, query),
      isUnsigned: true,
    })),
    /** @spec server-server-api#post_matrixkeyv2query */
    bulkPerspectivesKeyQuery: asking(hs, ServerKeys, (content) => ({
      operation: "bulkPerspectivesKeyQuery",
      method: "POST",
      uri: "/_matrix/key/v2/query",
      content,
      isUnsigned: true,
    })),
  };
}
