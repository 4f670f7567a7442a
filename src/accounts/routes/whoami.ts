import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";

/** The specification's `whoami.yaml`: whose the access token is. */
export const whoamiEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getTokenOwner",
    method: "GET",
    path: "/_matrix/client/v3/account/whoami",
    guests: true,
    handle: (_hs, { requester }) => ({
      user_id: requester.userId,
      ...(requester.deviceId !== "" && { device_id: requester.deviceId }),
      is_guest: requester.isGuest,
    }),
  }),
];
