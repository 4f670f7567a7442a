import { resolveAlias } from "#src/directory/resolve-alias.ts";
import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import { parseRoomAlias, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";

/** Of the specification's `query.yaml`, what leads to rooms. */
export const directoryQueryEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1querydirectory */
  serverEndpoint({
    operation: "queryRoomDirectory",
    method: "GET",
    path: "/_matrix/federation/v1/query/directory",
    async handle(hs, { query }) {
      const alias = parseRoomAlias(query.get("room_alias") ?? "");
      if (serverNameOf(alias) !== hs.name) {
        throw new MatrixError("M_NOT_FOUND", "The alias is not of this server");
      }
      const { roomId, servers } = await resolveAlias(hs, alias);
      return { room_id: roomId, servers };
    },
  }),
];
