import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { capabilitiesOf } from "../capabilities.ts";

/** The specification's `capabilities.yaml`: what the user may do. */
export const capabilitiesEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getCapabilities",
    method: "GET",
    path: "/_matrix/client/v3/capabilities",
    guests: true,
    handle: async (hs, { requester }) => ({ capabilities: await capabilitiesOf(hs, requester) }),
  }),
];
