import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseUserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { mutualRooms } from "../mutual-rooms.ts";

/** Where matrix-js-sdk asks, and with other names for the tokens. */
const UNSTABLE = "/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms";

/** The specification's `mutual_rooms.yaml`. */
export const mutualRoomsEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getMutualRooms",
    method: "GET",
    path: ["/_matrix/client/v1/mutual_rooms", UNSTABLE],
    async handle(hs, { requester, query, request }) {
      const isUnstable = request.path === UNSTABLE;
      const user = query.get("user_id");
      if (user === null) throw new MatrixError("M_MISSING_PARAM", "user_id is missing");
      const { joined, count, next } = await mutualRooms(hs, requester, {
        userId: parseUserId(user),
        from: query.get(isUnstable ? "batch_token" : "from") ?? undefined,
      });
      const token = isUnstable ? "next_batch_token" : "next_batch";
      return { joined, count, ...(next !== undefined && { [token]: next }) };
    },
  }),
];
