import { ownDeviceList } from "#src/encryption/own-device-list.ts";
import { type Endpoint, serverEndpoint } from "#src/http/endpoint.ts";
import { requireLocalUser } from "../local-user.ts";

/** The specification's `user_devices.yaml`. */
export const userDeviceEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1userdevicesuserid */
  serverEndpoint({
    operation: "getUserDevices",
    method: "GET",
    path: "/_matrix/federation/v1/user/devices/:userId",
    handle: async (hs, { params }) =>
      await ownDeviceList(hs, requireLocalUser(hs, params["userId"] ?? "")),
  }),
];
