import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { checkRate } from "#src/http/rate-limit.ts";
import { CreateRoomRequest, invitedByState } from "../create-room-request.ts";
import { createRoom } from "../create-room.ts";
import { countThirdPartyInvite } from "./count-third-party-invite.ts";

/** The specification's `create_room.yaml`. */
export const createRoomEndpoints: readonly Endpoint[] = [
  userEndpoint<CreateRoomRequest>({
    operation: "createRoom",
    method: "POST",
    path: "/_matrix/client/v3/createRoom",
    body: CreateRoomRequest,
    async handle(hs, { requester, body, ip }) {
      const { userId, isUnlimited = false } = requester;
      const invited = new Set([...(body.invite ?? []), ...invitedByState(body)]).size;
      if (!isUnlimited && invited > 0) checkRate(hs, "invite", { userId, ip }, invited);
      for (const _ of body.invite_3pid ?? []) countThirdPartyInvite(hs, requester, ip);
      return { room_id: await createRoom(hs, requester, body) };
    },
  }),
];
