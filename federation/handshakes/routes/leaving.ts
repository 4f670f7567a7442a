import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseEventId, parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { acceptMember } from "../accept-member.ts";
import { proposeMember } from "../propose-member.ts";

/** The specification's `leaving-v1.yaml` and `leaving-v2.yaml`: how users of other servers decline to be in rooms of ours. */
export const leaveHandshakeEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1make_leaveroomiduserid */
  serverEndpoint({
    operation: "makeLeave",
    method: "GET",
    path: "/_matrix/federation/v1/make_leave/:roomId/:userId",
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
    path: "/_matrix/federation/v2/send_leave/:roomId/:eventId",
    body: JsonObject,
    async handle(hs, { requester, params, body }) {
      await acceptMember(hs, requester, {
        roomId: parseRoomId(params["roomId"] ?? ""),
        eventId: parseEventId(params["eventId"] ?? ""),
        membership: "leave",
        pdu: body,
      });
      return {};
    },
  }),
];
