import { z } from "zod";
import { resolveAlias } from "#src/directory/resolve-alias.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomAlias, parseRoomId, parseUserId, type RoomId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import type { Requester } from "#src/kit/requester.ts";
import { parseServerName } from "#src/kit/server-name.ts";
import { redeemInvite } from "../bound-invite.ts";
import { enterRoom, type RoomToEnter } from "../enter-room.ts";
import { knockOnRoom } from "../knock-on-room.ts";
import { withoutAuthoriser } from "../member-draft.ts";
import { Reason, WithReason } from "../request-bodies.ts";

/** What is not of the request itself goes into the member event: clients put things of their own there. */
const Said = z.looseObject({
  reason: Reason,
  third_party_signed: z
    .looseObject({
      mxid: z.string(),
      sender: z.string(),
      token: z.string(),
      signatures: JsonObject,
    })
    .optional(),
});
type JoinRequest = z.infer<typeof Said>;
/** Null says nothing, as of `WithReason`. */
const JoinRequest = Said.nullable().transform((it): JoinRequest => it ?? { reason: undefined });

function contentOf(request: JoinRequest): CanonicalObject {
  const { third_party_signed: _signed, membership: _membership, reason, ...content } = request;
  const further = content as CanonicalObject;
  return withoutAuthoriser(reason === undefined ? further : { ...further, reason });
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
      await redeem(hs, requester, { roomId, signed: body.third_party_signed });
      await enterRoom(hs, requester, { roomId, via: [] }, contentOf(body));
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
    async handle(hs, { requester, params, query, body }) {
      const room = await roomOf(hs, params["roomIdOrAlias"] ?? "", query);
      const { roomId } = room;
      await redeem(hs, requester, { roomId, signed: body.third_party_signed });
      await enterRoom(hs, requester, room, contentOf(body));
      return { room_id: room.roomId };
    },
  }),
  userEndpoint<z.infer<typeof WithReason>>({
    operation: "knockRoom",
    method: "POST",
    path: "/_matrix/client/v3/knock/:roomIdOrAlias",
    body: WithReason,
    rate: "join",
    async handle(hs, { requester, params, query, body }) {
      const room = await roomOf(hs, params["roomIdOrAlias"] ?? "", query);
      await knockOnRoom(hs, requester, room, body.reason);
      return { room_id: room.roomId };
    },
  }),
];

/**
 * Has a user invited who shows by a joining that an address by which somebody was invited is theirs.
 *
 * @throws MatrixError M_FORBIDDEN if it is not, or nobody was.
 * @spec client-server-api#post_matrixclientv3roomsroomidjoin
 */
async function redeem(
  hs: Homeserver,
  { userId }: Requester,
  { roomId, signed }: { roomId: RoomId; signed: JoinRequest["third_party_signed"] },
): Promise<void> {
  if (!signed) return;
  const sender = parseUserId(signed.sender);
  await redeemInvite(hs, { roomId, sender, userId, signed: signed as CanonicalObject });
}

/**
 * The room that a client names, and the servers by which it may be entered: those that the client says, and
 * those that the directory says.
 *
 * @throws MatrixError M_INVALID_PARAM; M_NOT_FOUND of an alias that stands for nothing.
 */
async function roomOf(
  hs: Homeserver,
  idOrAlias: string,
  query: URLSearchParams,
): Promise<RoomToEnter> {
  // Until version 1.12 of the specification `via` was `server_name`.
  const named = [...query.getAll("via"), ...query.getAll("server_name")];
  const via = named.filter((it) => it !== "").map(parseServerName);
  if (!idOrAlias.startsWith("#")) return { roomId: parseRoomId(idOrAlias), via };
  const { roomId, servers } = await resolveAlias(hs, parseRoomAlias(idOrAlias));
  return { roomId, via: [...via, ...servers] };
}
