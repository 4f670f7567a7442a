import { type Endpoint, openEndpoint } from "#src/http/endpoint.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { clientWellKnown, serverWellKnown, supportWellKnown } from "../well-known.ts";

/** The specification's `wellknown.yaml` and `support.yaml`: where this server is, and whom to turn to. */
export const wellKnownEndpoints: readonly Endpoint[] = [
  openEndpoint({
    operation: "getWellknown",
    method: "GET",
    path: "/.well-known/matrix/client",
    auth: "none",
    rate: "none",
    handle: clientWellKnown,
  }),
  openEndpoint({
    operation: "getWellKnown",
    method: "GET",
    path: "/.well-known/matrix/server",
    auth: "none",
    rate: "none",
    handle: (hs) => configured(serverWellKnown(hs)),
  }),
  openEndpoint({
    operation: "getWellknownSupport",
    method: "GET",
    path: "/.well-known/matrix/support",
    auth: "none",
    rate: "none",
    handle: (hs) => configured(supportWellKnown(hs)),
  }),
];

function configured(it: object | undefined): object {
  if (it) return it;
  throw new MatrixError("M_NOT_FOUND", "This is not configured");
}
