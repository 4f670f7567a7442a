import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Remotes } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { ARoomId, wireObject } from "./answer-schemas.ts";
import { asking } from "./ask-server.ts";
import { parseServerNameParts } from "./parse-server-name.ts";
import { path, withQuery } from "./uri.ts";

const MOST_ROOMS = 10_000;

/** The most bytes of what is told of a space: some hundred rooms, each with some hundred in it. */
const MOST_HIERARCHY_BYTES = 4 * 1024 * 1024;

/** Servers that were named to us; what is no server name is left out. */
const ServerNames = z
  .array(z.unknown())
  .max(100_000)
  .transform((names) => names.filter(isServerName));

function isServerName(name: unknown): name is ServerName {
  return typeof name === "string" && parseServerNameParts(name) !== undefined;
}

const PublicRooms = wireObject({
  chunk: z.array(JsonObject).max(MOST_ROOMS),
  next_batch: z.string().exactOptional(),
  prev_batch: z.string().exactOptional(),
  total_room_count_estimate: z.int().exactOptional(),
});

const Hierarchy = wireObject({
  room: JsonObject,
  children: z.array(JsonObject).max(MOST_ROOMS).default([]),
  inaccessible_children: z.array(z.string()).max(MOST_ROOMS).default([]),
});

type DirectoryQuestions = Pick<
  Remotes,
  | "queryRoomDirectory"
  | "queryProfile"
  | "queryInfo"
  | "getPublicRooms"
  | "queryPublicRooms"
  | "getSpaceHierarchy"
>;

/** What other servers can be asked about their rooms and users by whoever looks for some. */
export function directoryQuestions(hs: Homeserver): DirectoryQuestions {
  return {
    /** @spec server-server-api#get_matrixfederationv1querydirectory */
    queryRoomDirectory: asking(
      hs,
      z.object({ room_id: ARoomId, servers: ServerNames }),
      ({ room_alias }) => ({
        operation: "queryRoomDirectory",
        method: "GET",
        uri: withQuery("/_matrix/federation/v1/query/directory", { room_alias }),
      }),
    ),
    /** @spec server-server-api#get_matrixfederationv1queryprofile */
    queryProfile: asking(hs, JsonObject, ({ user_id, field }) => ({
      operation: "queryProfile",
      method: "GET",
      uri: withQuery("/_matrix/federation/v1/query/profile", { user_id, field }),
    })),
    /** @spec server-server-api#get_matrixfederationv1queryquerytype */
    queryInfo: asking(hs, JsonObject, ({ queryType, parameters }) => ({
      operation: "queryInfo",
      method: "GET",
      uri: withQuery(path`/_matrix/federation/v1/query/${queryType}`, parameters),
    })),
    /** @spec server-server-api#get_matrixfederationv1publicrooms */
    getPublicRooms: asking(hs, PublicRooms, (question) => ({
      operation: "getPublicRooms",
      method: "GET",
      uri: withQuery("/_matrix/federation/v1/publicRooms", question),
    })),
    /** @spec server-server-api#post_matrixfederationv1publicrooms */
    queryPublicRooms: asking(hs, PublicRooms, (content) => ({
      operation: "queryPublicRooms",
      method: "POST",
      uri: "/_matrix/federation/v1/publicRooms",
      content,
    })),
    /** @spec server-server-api#get_matrixfederationv1hierarchyroomid */
    getSpaceHierarchy: asking(hs, Hierarchy, ({ roomId, suggestedOnly = false }) => ({
      operation: "getSpaceHierarchy",
      method: "GET",
      uri: withQuery(path`/_matrix/federation/v1/hierarchy/${roomId}`, {
        suggested_only: suggestedOnly,
      }),
      mostBytes: MOST_HIERARCHY_BYTES,
    })),
  };
}
