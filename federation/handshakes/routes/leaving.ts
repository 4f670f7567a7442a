import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { acceptMember } from "../accept-member.ts";
import { proposeMember } from "../propose-member.ts";
import { answerOf, sentMember, V1, V2 } from "./member-requests.ts";

/** The specification's `leaving-v1.yaml` and `leaving-v2.yaml`: how users of other servers decline to be in rooms of ours. */
export const leaveHandshakeEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1make_leaveroomiduserid */
  serverEndpoint({
    operation: "makeLeave",
    method: "GET",
    path: `${V1}/make_leave/:roomId/:userId`,
    async handle(hs, { requester, params }) {
      return await proposeMember(hs, requester, {
        roomId: parseRoomId(params["roomId"] ?? ""),
        userId: parseUserId(params["userId"] ?? ""),
        membership: "leave",
      });
    },
  }),
  /** @spec server-server-api#put_matrixfederationv2send_leaveroomideventid */
  serverEndpoint<CanonicalObject>({
    operation: "sendLeaveV2",
    method: "PUT",
    path: [`${V2}/send_leave/:roomId/:eventId`, `${V1}/send_leave/:roomId/:eventId`],
    body: JsonObject,
    async handle(hs, { requester, params, body, request }) {
      await acceptMember(hs, requester, sentMember(params, { membership: "leave", pdu: body }));
      return answerOf(request.path, "{}");
    },
  }),
];
