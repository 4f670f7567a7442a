import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseTransactionId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { sendToDevice } from "../send-to-device.ts";

const Messages = z.object({ messages: z.record(z.string(), z.record(z.string(), JsonObject)) });

/** The specification's `to_device.yaml`. */
export const toDeviceEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "sendToDevice",
    method: "PUT",
    path: "/_matrix/client/v3/sendToDevice/:eventType/:txnId",
    body: Messages,
    guests: true,
    async handle(hs, { requester, params, body }) {
      const { eventType: type = "" } = params;
      const txnId = parseTransactionId(params["txnId"] ?? "");
      const transaction = { deviceKey: requester.deviceKey, txnId };
      await sendToDevice(hs, requester, { type, messages: body.messages, transaction });
      return {};
    },
  }),
];
