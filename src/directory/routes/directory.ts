import { z } from "zod";
import { openEndpoint, type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomAlias, parseRoomId, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { requireJoined, requireRoom } from "#src/rooms/memberships.ts";
import { requireReadable } from "#src/rooms/world-readable.ts";
import { deleteAlias } from "../delete-alias.ts";
import { resolveAlias } from "../resolve-alias.ts";
import { aliasesOfRoom, claimAlias, requireUnclaimedAlias } from "../room-aliases.ts";

const NewAlias = z.object({ room_id: z.string() });

/** The specification's `directory.yaml`. */
export const directoryEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getRoomIdByAlias",
    method: "GET",
    path: "/_matrix/client/v3/directory/room/:roomAlias",
    auth: "none",
    async handle(hs, { params }) {
      const { roomId, servers } = await resolveAlias(hs, parseRoomAlias(params["roomAlias"] ?? ""));
      return { room_id: roomId, servers };
    },
  }),
  userEndpoint<z.infer<typeof NewAlias>>({
    operation: "setRoomAlias",
    method: "PUT",
    path: "/_matrix/client/v3/directory/room/:roomAlias",
    body: NewAlias,
    async handle(hs, { requester, params, body }) {
      const alias = parseRoomAlias(params["roomAlias"] ?? "");
      if (serverNameOf(alias) !== hs.name) {
        throw new MatrixError("M_INVALID_PARAM", "The alias is of another server");
      }
      requireUnclaimedAlias(hs, alias, requester);
      const roomId = parseRoomId(body.room_id);
      // A bridge names rooms that its users are in, or that others made for it.
      const { roomKey } =
        requester.appserviceId === undefined
          ? await requireJoined(hs, requester, roomId)
          : await requireRoom(hs, roomId);
      const { userKey } = requester;
      await hs.sql.begin(async (tx) => {
        try {
          await claimAlias(tx, { alias, roomKey, userKey });
        } catch (error) {
          if (!(error instanceof MatrixError)) throw error;
          throw new MatrixError("M_UNKNOWN", error.message, { status: 409, cause: error });
        }
      });
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteRoomAlias",
    method: "DELETE",
    path: "/_matrix/client/v3/directory/room/:roomAlias",
    async handle(hs, { requester, params }) {
      await deleteAlias(hs, requester, parseRoomAlias(params["roomAlias"] ?? ""));
      return {};
    },
  }),
  userEndpoint({
    operation: "getLocalAliases",
    method: "GET",
    path: "/_matrix/client/v3/rooms/:roomId/aliases",
    async handle(hs, { requester, params }) {
      const room = await requireReadable(hs, requester, parseRoomId(params["roomId"] ?? ""));
      return { aliases: await aliasesOfRoom(hs, room.roomKey) };
    },
  }),
];
