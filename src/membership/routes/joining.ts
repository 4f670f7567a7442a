import { z } from "zod";
import { roomOfAlias } from "#src/directory/room-aliases.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomAlias, parseRoomId, type RoomId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { knockOnRoom } from "../change-members.ts";
import { joinRoom } from "../join-room.ts";
import { WithReason } from "../request-bodies.ts";

/** What is not of the request itself goes into the member event: clients put things of their own there. */
const JoinRequest = z.looseObject({
  reason: z.string().optional(),
  third_party_signed: JsonObject.optional(),
});
type JoinRequest = z.infer<typeof JoinRequest>;

function contentOf(request: JoinRequest): CanonicalObject {
  const { third_party_signed: _signed, membership: _membership, ...content } = request;
  return content as CanonicalObject;
}

/** The specification's `joining.yaml` and `knocking.yaml`. */
export const joiningEndpoints: readonly Endpoint[] = [
  userEndpoint<JoinRequest>({
    operation: "joinRoomById",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/join",
    body: JoinRequest,
    rate: "join",
    guests: true,
    async handle(hs, { requester, params, body }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      await joinRoom(hs, requester, roomId, contentOf(body));
      return { room_id: roomId };
    },
  }),
  userEndpoint<JoinRequest>({
    operation: "joinRoom",
    method: "POST",
    path: "/_matrix/client/v3/join/:roomIdOrAlias",
    body: JoinRequest,
    rate: "join",
    guests: true,
    async handle(hs, { requester, params, body }) {
      const roomId = await roomIdOf(hs, params["roomIdOrAlias"] ?? "");
      await joinRoom(hs, requester, roomId, contentOf(body));
      return { room_id: roomId };
    },
  }),
  userEndpoint<z.infer<typeof WithReason>>({
    operation: "knockRoom",
    method: "POST",
    path: "/_matrix/client/v3/knock/:roomIdOrAlias",
    body: WithReason,
    rate: "join",
    async handle(hs, { requester, params, body }) {
      const roomId = await roomIdOf(hs, params["roomIdOrAlias"] ?? "");
      await knockOnRoom(hs, requester, { roomId, reason: body.reason });
      return { room_id: roomId };
    },
  }),
];

/** @throws MatrixError M_INVALID_PARAM; M_NOT_FOUND of an alias that stands for nothing. */
async function roomIdOf(hs: Homeserver, idOrAlias: string): Promise<RoomId> {
  if (!idOrAlias.startsWith("#")) return parseRoomId(idOrAlias);
  const found = await roomOfAlias(hs, parseRoomAlias(idOrAlias));
  if (!found) throw new MatrixError("M_NOT_FOUND", "No room has this alias");
  return found.roomId;
}
