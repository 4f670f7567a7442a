import { publicRooms } from "#src/directory/public-rooms.ts";
import {
  PublicRoomsFilter,
  questionIn,
  questionOf,
} from "#src/directory/routes/read-public-rooms.ts";
import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";

const PATH = "/_matrix/federation/v1/publicRooms";

/** Of a network that we have no bridge to. */
const NO_ROOMS = { chunk: [], total_room_count_estimate: 0 };

/** The specification's `public_rooms.yaml`: this server's directory, and no other's. */
export const publicRoomsForServersEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1publicrooms */
  serverEndpoint({
    operation: "getPublicRooms",
    method: "GET",
    path: PATH,
    async handle(hs, { query }) {
      const question = questionIn(query);
      return question ? await publicRooms(hs, question) : NO_ROOMS;
    },
  }),
  /** @spec server-server-api#post_matrixfederationv1publicrooms */
  serverEndpoint({
    operation: "queryPublicRooms",
    method: "POST",
    path: PATH,
    body: PublicRoomsFilter,
    async handle(hs, { body }) {
      const question = questionOf(body);
      return question ? await publicRooms(hs, question) : NO_ROOMS;
    },
  }),
];
