import { publicRooms } from "#src/directory/public-rooms.ts";
import {
  PublicRoomsFilter,
  questionIn,
  questionOf,
} from "#src/directory/routes/read-public-rooms.ts";
import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";

const PATH = "/_matrix/federation/v1/publicRooms";

/** The specification's `public_rooms.yaml`: this server's directory, and no other's. */
export const publicRoomsForServersEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1publicrooms */
  serverEndpoint({
    operation: "getPublicRooms",
    method: "GET",
    path: PATH,
    handle: async (hs, { query }) => await publicRooms(hs, questionIn(query)),
  }),
  /** @spec server-server-api#post_matrixfederationv1publicrooms */
  serverEndpoint({
    operation: "queryPublicRooms",
    method: "POST",
    path: PATH,
    body: PublicRoomsFilter,
    handle: async (hs, { body }) => await publicRooms(hs, questionOf(body)),
  }),
];
