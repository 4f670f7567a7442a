import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { rtcTransports } from "../well-known.ts";

/** MSC4143: by what clients can call each other. Current ones ask here, and older ones look at the well-known file. */
export const rtcTransportEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getRtcTransports",
    method: "GET",
    path: "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports",
    guests: true,
    handle: (hs) => ({ rtc_transports: rtcTransports(hs) }),
  }),
];
