import { type Endpoint, jsonText, serverEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { acceptMember } from "../accept-member.ts";
import { proposeMember } from "../propose-member.ts";
import { knockedStateText } from "../told-states.ts";
import { sentMember } from "./member-requests.ts";

/** The specification's `knocks.yaml`: how users of other servers knock on rooms of ours. */
export const knockHandshakeEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1make_knockroomiduserid */
  serverEndpoint({
    operation: "makeKnock",
    method: "GET",
    path: "/_matrix/federation/v1/make_knock/:roomId/:userId",
    rate: "serverKnock",
    async handle(hs, { requester, params, query }) {
      return await proposeMember(hs, requester, {
        roomId: parseRoomId(params["roomId"] ?? ""),
        userId: parseUserId(params["userId"] ?? ""),
        membership: "knock",
        versions: query.getAll("ver"),
      });
    },
  }),
  /** @spec server-server-api#put_matrixfederationv1send_knockroomideventid */
  serverEndpoint<CanonicalObject>({
    operation: "sendKnock",
    method: "PUT",
    path: "/_matrix/federation/v1/send_knock/:roomId/:eventId",
    rate: "serverKnock",
    body: JsonObject,
    async handle(hs, { requester, params, body }) {
      const member = sentMember(params, { membership: "knock", pdu: body });
      const { room, event } = await acceptMember(hs, requester, member);
      return jsonText(await knockedStateText(hs, room, event));
    },
  }),
];
