import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { turnCredentials } from "../turn-credentials.ts";

/** The specification's `voip.yaml`. */
export const voipEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getTurnServer",
    method: "GET",
    path: "/_matrix/client/v3/voip/turnServer",
    guests: true,
    // Clients take an empty answer for "there are none"; an empty list of URIs would be an error to browsers.
    handle: (hs, { requester }) => turnCredentials(hs, requester.userId) ?? {},
  }),
];
