import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { setNetworkVisibility } from "../networks.ts";

const PATH = "/_matrix/client/v3/directory/list/appservice/:networkId/:roomId";

const Visibility = z.object({ visibility: z.enum(["public", "private"]) });

/** The specification's `appservice_room_directory.yaml`. */
export const appserviceDirectoryEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "updateAppserviceRoomDirectoryVisibility",
    method: "PUT",
    path: PATH,
    body: Visibility,
    async handle(hs, { requester, params, body: { visibility } }) {
      await setNetworkVisibility(hs, requester, { ...listedBy(params), visibility });
      return {};
    },
  }),
  // Not in the specification; Synapse has it, and so bridges may use it.
  userEndpoint({
    operation: "deleteAppserviceRoomDirectoryVisibility",
    method: "DELETE",
    path: PATH,
    async handle(hs, { requester, params }) {
      await setNetworkVisibility(hs, requester, { ...listedBy(params), visibility: "private" });
      return {};
    },
  }),
];

function listedBy({ networkId = "", roomId = "" }: Readonly<Record<string, string>>) {
  return { networkId, roomId: parseRoomId(roomId) };
}
