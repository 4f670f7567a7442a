import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { SPEC_VERSIONS } from "../spec-versions.ts";
import { UNSTABLE_FEATURES } from "../unstable-features.ts";

/** The specification's `versions.yaml`: what of it is supported. */
export const versionsEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getVersions",
    method: "GET",
    path: "/_matrix/client/versions",
    // A token may be shown; the answer is the same for all.
    auth: "none",
    rate: "none",
    handle: () => ({ versions: SPEC_VERSIONS, unstable_features: UNSTABLE_FEATURES }),
  }),
];
