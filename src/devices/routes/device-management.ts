import { z } from "zod";
import { AuthData } from "#src/auth/auth-data.ts";
import { requireUserInteractive } from "#src/auth/user-interactive.ts";
import { type Endpoint, JSON_HEADERS, userEndpoint } from "#src/http/endpoint.ts";
import { createDevice } from "../create-device.ts";
import { deleteDevices } from "../delete-devices.ts";
import { getDevice, listDevices, renameDevice } from "../list-devices.ts";

const NewName = z.object({ display_name: z.string().optional() });
const WithAuth = z.object({ auth: AuthData.optional() });
/** More than anybody has. While devices are deleted nobody else can write. */
const MOST_DEVICES = 10_000;
const DevicesToDelete = WithAuth.extend({ devices: z.array(z.string()).max(MOST_DEVICES) });

/** The specification's `device_management.yaml`. */
export const deviceManagementEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getDevices",
    method: "GET",
    path: "/_matrix/client/v3/devices",
    guests: true,
    async handle(hs, { requester }) {
      return { devices: await listDevices(hs, requester) };
    },
  }),
  userEndpoint({
    operation: "getDevice",
    method: "GET",
    path: "/_matrix/client/v3/devices/:deviceId",
    guests: true,
    async handle(hs, { requester, params }) {
      return await getDevice(hs, requester, params["deviceId"] ?? "");
    },
  }),
  userEndpoint({
    operation: "updateDevice",
    method: "PUT",
    path: "/_matrix/client/v3/devices/:deviceId",
    body: NewName,
    guests: true,
    async handle(hs, { requester, params, body }) {
      const deviceId = params["deviceId"] ?? "";
      const displayName = body.display_name;
      if (requester.appserviceId !== undefined) {
        const { isNew } = await createDevice(hs, requester, { deviceId, displayName });
        if (isNew) return new Response("{}", { status: 201, headers: JSON_HEADERS });
      }
      await renameDevice(hs, requester, { deviceId, displayName });
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteDevice",
    method: "DELETE",
    path: "/_matrix/client/v3/devices/:deviceId",
    body: WithAuth,
    async handle(hs, call) {
      await requireUserInteractive(hs, call, { operation: "deleteDevice" });
      await deleteDevices(hs, call.requester, [call.params["deviceId"] ?? ""]);
      return {};
    },
  }),
  userEndpoint({
    operation: "deleteDevices",
    method: "POST",
    path: "/_matrix/client/v3/delete_devices",
    body: DevicesToDelete,
    async handle(hs, call) {
      await requireUserInteractive(hs, call, { operation: "deleteDevices" });
      await deleteDevices(hs, call.requester, call.body.devices);
      return {};
    },
  }),
];
