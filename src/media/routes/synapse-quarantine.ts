import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { parseMxc } from "../mxc.ts";
import { liftQuarantine, quarantineMedia } from "../quarantine-media.ts";

const PATH = "/_synapse/admin/v1/media";

/** Taking media out of sight, as administrators' tools know it from Synapse. */
export const quarantineEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "quarantineMedia",
    method: "POST",
    path: `${PATH}/quarantine/:serverName/:mediaId`,
    handle: async (hs, call) => await byAdministrator(hs, call, quarantineMedia),
  }),
  userEndpoint({
    operation: "unquarantineMedia",
    method: "POST",
    path: `${PATH}/unquarantine/:serverName/:mediaId`,
    handle: async (hs, call) => await byAdministrator(hs, call, liftQuarantine),
  }),
];

async function byAdministrator(
  hs: Homeserver,
  { requester, params }: Call<undefined, Requester>,
  act: typeof quarantineMedia,
) {
  if (!requester.isAdmin) throw new MatrixError("M_FORBIDDEN", "You are no administrator");
  await act(hs, requester, parseMxc(params["serverName"], params["mediaId"]));
  return {};
}
