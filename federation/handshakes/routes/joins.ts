import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { inStateTurn } from "../../inbound/state-turns.ts";
import { acceptMember } from "../accept-member.ts";
import { proposeMember } from "../propose-member.ts";
import { joinedStatePieces } from "../told-states.ts";
import { piecesOf, sentMember, V1, V2 } from "./member-requests.ts";

/** The specification's `joins-v1.yaml` and `joins-v2.yaml`: how users of other servers join rooms of ours. */
export const joinHandshakeEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1make_joinroomiduserid */
  serverEndpoint({
    operation: "makeJoin",
    method: "GET",
    path: `${V1}/make_join/:roomId/:userId`,
    async handle(hs, { requester, params, query }) {
      const versions = query.getAll("ver");
      return await proposeMember(hs, requester, {
        roomId: parseRoomId(params["roomId"] ?? ""),
        userId: parseUserId(params["userId"] ?? ""),
        membership: "join",
        versions: versions.length === 0 ? ["1"] : versions,
      });
    },
  }),
  /** @spec server-server-api#put_matrixfederationv2send_joinroomideventid */
  serverEndpoint<CanonicalObject>({
    operation: "sendJoinV2",
    method: "PUT",
    path: [`${V2}/send_join/:roomId/:eventId`, `${V1}/send_join/:roomId/:eventId`],
    body: JsonObject,
    async handle(hs, { requester, params, query, body, request }) {
      const member = sentMember(params, { membership: "join", pdu: body });
      const { room, event } = await acceptMember(hs, requester, member);
      const omitMembers = query.get("omit_members") === "true";
      const told = await inStateTurn(
        hs,
        requester,
        async () => await joinedStatePieces(hs, room, event, { omitMembers }),
      );
      return piecesOf(request.path, told);
    },
  }),
];
