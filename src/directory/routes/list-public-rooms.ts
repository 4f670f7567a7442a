import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, openEndpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { type PublicRoomsPage, publicRooms, type PublicRoomsQuestion } from "../public-rooms.ts";
import { remotePublicRooms } from "../remote-public-rooms.ts";
import { setVisibility, visibilityOfRoom } from "../set-visibility.ts";
import { PublicRoomsFilter, questionIn, questionOf } from "./read-public-rooms.ts";

const LIST = "/_matrix/client/v3/directory/list/room/:roomId";
const PUBLIC_ROOMS = "/_matrix/client/v3/publicRooms";

const Visibility = z.object({ visibility: z.enum(["public", "private"]).default("public") });

/** The specification's `list_public_rooms.yaml`. */
export const publicRoomsEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getRoomVisibilityOnDirectory",
    method: "GET",
    path: LIST,
    auth: "none",
    async handle(hs, { params }) {
      return { visibility: await visibilityOfRoom(hs, parseRoomId(params["roomId"] ?? "")) };
    },
  }),
  userEndpoint({
    operation: "setRoomVisibilityOnDirectory",
    method: "PUT",
    path: LIST,
    body: Visibility,
    async handle(hs, { requester, params, body: { visibility } }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      await setVisibility(hs, requester, { roomId, visibility });
      return {};
    },
  }),
  openEndpoint({
    operation: "getPublicRooms",
    method: "GET",
    path: PUBLIC_ROOMS,
    auth: "none",
    handle: async (hs, { query }) => await roomsOf(hs, query.get("server"), questionIn(query)),
  }),
  userEndpoint({
    operation: "queryPublicRooms",
    method: "POST",
    path: PUBLIC_ROOMS,
    body: PublicRoomsFilter,
    handle: async (hs, { query, body }) => await roomsOf(hs, query.get("server"), questionOf(body)),
  }),
];

async function roomsOf(
  hs: Homeserver,
  named: string | null,
  question: PublicRoomsQuestion,
): Promise<PublicRoomsPage> {
  const server = named === null || named === "" ? hs.name : parseServerName(named);
  if (server === hs.name) return await publicRooms(hs, question);
  // Of another server's bridges we know nothing.
  if (question.network) return { chunk: [], total_room_count_estimate: 0 };
  return await remotePublicRooms(hs, server, question);
}
