import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { hierarchyForServer } from "#src/spaces/hierarchy-for-server.ts";
import { readSuggestedOnly } from "#src/spaces/routes/space-hierarchy.ts";

/** The specification's `space_hierarchy.yaml`. */
export const hierarchyForServersEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1hierarchyroomid */
  serverEndpoint({
    operation: "getSpaceHierarchy",
    method: "GET",
    path: "/_matrix/federation/v1/hierarchy/:roomId",
    async handle(hs, { requester: server, params, query }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      const suggestedOnly = readSuggestedOnly(query);
      return await hierarchyForServer(hs, server, { roomId, suggestedOnly });
    },
  }),
];
