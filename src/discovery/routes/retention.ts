import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";

/**
 * MSC1763: for how long messages are kept. Here until they are redacted or the room is purged, so that no policy
 * and no bounds of one are named.
 */
export const retentionEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getRetentionConfiguration",
    method: "GET",
    path: "/_matrix/client/unstable/org.matrix.msc1763/retention/configuration",
    guests: true,
    handle: () => ({ policies: {}, limits: {} }),
  }),
];
