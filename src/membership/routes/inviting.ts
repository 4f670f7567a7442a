import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { checkBody } from "#src/http/read-body.ts";
import { Invite3pid, parseInvite3pid } from "#src/identity-servers/third-party-address.ts";
import { parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { inviteUser } from "../change-members.ts";
import { inviteAddress } from "../invite-address.ts";
import { WithUser } from "../request-bodies.ts";
import { countThirdPartyInvite } from "./count-third-party-invite.ts";

/** Whom to invite: a user, or whoever has an address. */
const InviteRequest = z.object({ ...WithUser.shape, ...Invite3pid.shape }).partial();
type InviteRequest = z.infer<typeof InviteRequest>;

/** The specification's `inviting.yaml` and `third_party_membership.yaml`, whose operations share a route. */
export const invitingEndpoints: readonly Endpoint[] = [
  userEndpoint<InviteRequest>({
    operation: "inviteUser",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/invite",
    body: InviteRequest,
    rate: "invite",
    async handle(hs, { requester, params, body, ip }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      const { reason } = body;
      // The operation inviteBy3PID.
      if (body.user_id === undefined && body.address !== undefined) {
        const address = parseInvite3pid(hs, checkBody(body, Invite3pid));
        countThirdPartyInvite(hs, requester, ip);
        await inviteAddress(hs, requester, { roomId, address, reason });
        return {};
      }
      const { user_id } = checkBody(body, WithUser);
      await inviteUser(hs, requester, { roomId, target: parseUserId(user_id), reason });
      return {};
    },
  }),
];
