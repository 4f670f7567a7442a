import { z } from "zod";
import { type Endpoint, openEndpoint, serverEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { exchangeInvite } from "../exchange-invite.ts";
import { takeBinding } from "../take-binding.ts";

const PartialInvite = z.object({
  type: z.literal("m.room.member"),
  room_id: z.string(),
  sender: z.string(),
  state_key: z.string(),
  content: z.object({
    membership: z.literal("invite"),
    third_party_invite: z.object({ signed: JsonObject }),
  }),
});
type PartialInvite = z.infer<typeof PartialInvite>;

/** The most invitations that an address has pending. */
const MOST_INVITES = 50;

const Binding = z.object({
  mxid: z.string(),
  invites: z
    .array(z.object({ room_id: z.string(), sender: z.string(), signed: JsonObject }))
    .max(MOST_INVITES)
    // Of an address that nobody has invited they say none.
    .default([]),
});
type Binding = z.infer<typeof Binding>;

/** The specification's `third_party_invite.yaml`. */
export const thirdPartyInviteEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#put_matrixfederationv1exchange_third_party_inviteroomid */
  serverEndpoint<PartialInvite>({
    operation: "exchangeThirdPartyInvite",
    method: "PUT",
    path: "/_matrix/federation/v1/exchange_third_party_invite/:roomId",
    body: PartialInvite,
    async handle(hs, { requester, params, body }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      if (body.room_id !== roomId) {
        throw new MatrixError("M_INVALID_PARAM", "The event is of another room");
      }
      await exchangeInvite(hs, requester, {
        roomId,
        sender: parseUserId(body.sender),
        userId: parseUserId(body.state_key),
        signed: body.content.third_party_invite.signed,
      });
      return {};
    },
  }),
  // The specification says PUT. Every identity server there is says POST.
  ...(["PUT", "POST"] as const).map((method) =>
    /** @spec server-server-api#put_matrixfederationv13pidonbind */
    openEndpoint<Binding>({
      operation: "onBindThirdPartyIdentifier",
      method,
      path: "/_matrix/federation/v1/3pid/onbind",
      auth: "none",
      body: Binding,
      async handle(hs, { body }) {
        const { mxid, invites } = body;
        await takeBinding(hs, { userId: parseUserId(mxid), invites });
        return {};
      },
    }),
  ),
];
