import { deleteDevices } from "#src/devices/delete-devices.ts";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";

/** The specification's `logout.yaml`. Who logs out, whose device is gone. */
export const logoutEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "logout",
    method: "POST",
    path: "/_matrix/client/v3/logout",
    guests: true,
    async handle(hs, { requester }) {
      await deleteDevices(hs, requester, [requester.deviceId]);
      return {};
    },
  }),
  userEndpoint({
    operation: "logout_all",
    method: "POST",
    path: "/_matrix/client/v3/logout/all",
    guests: true,
    async handle(hs, { requester }) {
      await deleteDevices(hs, requester, "all");
      return {};
    },
  }),
];
