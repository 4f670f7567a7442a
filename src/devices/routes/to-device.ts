import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { checkSize } from "#src/http/rate-limit.ts";
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
    async handle(hs, { requester, params, body, ip }) {
      const counts = Object.values(body.messages).map((it) => Object.keys(it).length);
      const size = counts.reduce((sum, it) => sum + it, 0);
      checkSize(hs, "default", { requester, ip }, size);
      const { eventType: type = "" } = params;
      const txnId = parseTransactionId(params["txnId"] ?? "");
      const { deviceKey } = requester;
      const messages = { type, messages: body.messages, transaction: { deviceKey, txnId } };
      await sendToDevice(hs, requester, messages);
      return {};
    },
  }),
];
