import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { setNetworkVisibility } from "../networks.ts";

const Visibility = z.object({ visibility: z.enum(["public", "private"]) });

/** The specification's `appservice_room_directory.yaml`. */
export const appserviceDirectoryEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "updateAppserviceRoomDirectoryVisibility",
    method: "PUT",
    path: "/_matrix/client/v3/directory/list/appservice/:networkId/:roomId",
    body: Visibility,
    async handle(hs, { requester, params, body: { visibility } }) {
      const { networkId = "" } = params;
      const roomId = parseRoomId(params["roomId"] ?? "");
      await setNetworkVisibility(hs, requester, { networkId, roomId, visibility });
      return {};
    },
  }),
];
