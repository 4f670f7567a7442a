import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { DeviceKeys, KeyUpload } from "../../key-schemas.ts";
import {
  deleteDehydratedDevice,
  dehydratedDevice,
  dehydratedEvents,
  dehydrateDevice,
} from "../dehydrated-device.ts";

const DEVICE = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device";
const EVENTS = `${DEVICE}/:deviceId/events`;

const NewDevice = KeyUpload.extend({
  device_id: z.string(),
  device_data: JsonObject,
  initial_device_display_name: z.string().nullish(),
  device_keys: DeviceKeys,
});

/** MSC3814: a device that gets what is sent while nobody is logged in. */
export const dehydratedDeviceEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "putDehydratedDevice",
    method: "PUT",
    path: DEVICE,
    rate: "keys",
    body: NewDevice,
    async handle(hs, { requester, body }) {
      const { device_id, device_data, initial_device_display_name, ...keys } = body;
      await dehydrateDevice(hs, requester, {
        deviceId: device_id,
        displayName: initial_device_display_name ?? undefined,
        secrets: device_data,
        keys,
      });
      return { device_id };
    },
  }),
  userEndpoint({
    operation: "getDehydratedDevice",
    method: "GET",
    path: DEVICE,
    async handle(hs, { requester }) {
      const { deviceId, secrets } = await dehydratedDevice(hs, requester);
      return { device_id: deviceId, device_data: JSON.parse(secrets) as object };
    },
  }),
  userEndpoint({
    operation: "deleteDehydratedDevice",
    method: "DELETE",
    path: DEVICE,
    handle: async (hs, { requester }) => ({
      device_id: await deleteDehydratedDevice(hs, requester),
    }),
  }),
  userEndpoint({
    operation: "getDehydratedDeviceEvents",
    method: "GET",
    path: EVENTS,
    async handle(hs, { requester, params, query }) {
      const after = placeIn(query.get("from") ?? undefined);
      const which = { deviceId: params["deviceId"] ?? "", after };
      const { events, upTo, isAll } = await dehydratedEvents(hs, requester, which);
      return { events, ...(!isAll && { next_batch: String(upTo) }) };
    },
  }),
  userEndpoint({
    operation: "takeDehydratedDeviceEvents",
    method: "POST",
    path: EVENTS,
    body: z.object({ next_batch: z.string().nullish() }),
    async handle(hs, { requester, params, body }) {
      const after = placeIn(body.next_batch ?? undefined);
      const which = { deviceId: params["deviceId"] ?? "", after };
      const { events, upTo } = await dehydratedEvents(hs, requester, which);
      // Those who ask so go on until there are no events.
      return { events, next_batch: String(upTo) };
    },
  }),
];

/** @throws MatrixError M_INVALID_PARAM */
function placeIn(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  if (!/^\d{1,15}$/.test(text)) throw new MatrixError("M_INVALID_PARAM", "Invalid token");
  return Number(text);
}
