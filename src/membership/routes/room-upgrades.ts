import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { upgradeRoom } from "../upgrade-room.ts";

const UpgradeRequest = z.object({
  new_version: z.string(),
  additional_creators: z.array(z.string()).max(100).optional(),
});

/** The specification's `room_upgrades.yaml`. */
export const roomUpgradeEndpoints: readonly Endpoint[] = [
  userEndpoint<z.infer<typeof UpgradeRequest>>({
    operation: "upgradeRoom",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/upgrade",
    body: UpgradeRequest,
    async handle(hs, { requester, params, body }) {
      const upgrade = {
        roomId: parseRoomId(params["roomId"] ?? ""),
        version: body.new_version,
        additionalCreators: body.additional_creators ?? [],
      };
      return { replacement_room: await upgradeRoom(hs, requester, upgrade) };
    },
  }),
];
