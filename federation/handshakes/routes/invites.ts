import { z } from "zod";
import { type Endpoint, jsonText, serverEndpoint } from "#src/http/endpoint.ts";
import { checkRate } from "#src/http/rate-limit.ts";
import { type CanonicalObject, laxCanonicalJson } from "#src/kit/canonical-json.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { receiveInvite } from "../receive-invite.ts";

const InviteRequest = z.object({
  room_version: z.string(),
  event: JsonObject,
  invite_room_state: z.array(z.unknown()).nullish(),
});
type InviteRequest = z.infer<typeof InviteRequest>;

/** The specification's `invites-v1.yaml` and `invites-v2.yaml`: how users of ours are invited to rooms of others. */
export const inviteHandshakeEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#put_matrixfederationv2inviteroomideventid */
  serverEndpoint<InviteRequest>({
    operation: "sendInviteV2",
    method: "PUT",
    path: "/_matrix/federation/v2/invite/:roomId/:eventId",
    rate: "serverInvite",
    body: InviteRequest,
    async handle(hs, { requester, params, body }) {
      checkRate(hs, "invited", { userId: invitedBy(body.event), ip: "" });
      const event = await receiveInvite(hs, requester, {
        roomId: parseRoomId(params["roomId"] ?? ""),
        eventId: parseEventId(params["eventId"] ?? ""),
        version: body.room_version,
        pdu: body.event,
        roomState: body.invite_room_state ?? [],
      });
      return jsonText(`{"event":${laxCanonicalJson(event)}}`);
    },
  }),
  /** For rooms of versions 1 and 2 alone: others are not named here. @spec server-server-api#put_matrixfederationv1inviteroomideventid */
  serverEndpoint<CanonicalObject>({
    operation: "sendInviteV1",
    method: "PUT",
    path: "/_matrix/federation/v1/invite/:roomId/:eventId",
    rate: "serverInvite",
    body: JsonObject,
    async handle(hs, { requester, params, body }) {
      checkRate(hs, "invited", { userId: invitedBy(body), ip: "" });
      const unsigned = JsonObject.safeParse(body["unsigned"]).data;
      const told = unsigned?.["invite_room_state"];
      const event = await receiveInvite(hs, requester, {
        roomId: parseRoomId(params["roomId"] ?? ""),
        eventId: parseEventId(params["eventId"] ?? ""),
        version: "1",
        pdu: body,
        roomState: Array.isArray(told) ? told : [],
      });
      return jsonText(`[200,{"event":${laxCanonicalJson(event)}}]`);
    },
  }),
];

/** Whom an event invites, as it says; whoever sends it says anything. */
function invitedBy({ state_key: key }: CanonicalObject): string {
  return typeof key === "string" ? key.slice(0, LONGEST_USER_ID) : "";
}

const LONGEST_USER_ID = 255;
