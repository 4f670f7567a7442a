import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseEventId, parseRoomId, parseTransactionId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { requireRoom } from "../memberships.ts";
import { redactEvent } from "../redact-event.ts";
import { redactionTransactionId } from "../redaction-transaction.ts";
import { requireNewAnnotation } from "../require-new-annotation.ts";
import { requireThreadRoot } from "../require-thread-root.ts";
import { sendEvent } from "../send-event.ts";

/** The specification's `room_send.yaml` and `redaction.yaml`. */
export const roomSendEndpoints: readonly Endpoint[] = [
  userEndpoint<CanonicalObject>({
    operation: "sendMessage",
    method: "PUT",
    path: "/_matrix/client/v3/rooms/:roomId/send/:eventType/:txnId",
    body: JsonObject,
    rate: "message",
    guests: true,
    async handle(hs, { requester, params, body: content }) {
      const room = await requireRoom(hs, parseRoomId(params["roomId"] ?? ""));
      const type = params["eventType"] ?? "";
      const txnId = parseTransactionId(params["txnId"] ?? "");
      const transaction = { deviceKey: requester.deviceKey, txnId };
      if (type === "m.room.redaction" && typeof content["redacts"] === "string") {
        const { redacts, ...rest } = content;
        const target = parseEventId(redacts as string);
        const redaction = { requester, room, target, content: rest, transaction };
        return { event_id: await redactEvent(hs, redaction) };
      }
      if (type === "m.room.message") requireMessage(content);
      if (type === "m.reaction") await requireNewAnnotation(hs, requester, content, transaction);
      await requireThreadRoot(hs, content);
      const sending = { sender: requester, room, draft: { type, content }, transaction };
      return { event_id: await sendEvent(hs, sending) };
    },
  }),
  userEndpoint<CanonicalObject>({
    operation: "redactEvent",
    method: "PUT",
    path: "/_matrix/client/v3/rooms/:roomId/redact/:eventId/:txnId",
    body: JsonObject,
    rate: "message",
    async handle(hs, { requester, params, body: content }) {
      const room = await requireRoom(hs, parseRoomId(params["roomId"] ?? ""));
      const target = parseEventId(params["eventId"] ?? "");
      const txnId = parseTransactionId(params["txnId"] ?? "");
      const { reason } = content;
      if (reason !== undefined && typeof reason !== "string") {
        throw new MatrixError("M_BAD_JSON", "reason: must be a string");
      }
      const redaction = {
        requester,
        room,
        target,
        content: reason === undefined ? {} : { reason },
        transaction: {
          deviceKey: requester.deviceKey,
          txnId: redactionTransactionId(target, txnId),
        },
      };
      return { event_id: await redactEvent(hs, redaction) };
    },
  }),
];

/**
 * A message says of what kind it is and what to show where that kind is unknown.
 *
 * @spec client-server-api#mroommessage-msgtypes
 */
function requireMessage({ msgtype, body }: CanonicalObject): void {
  if (typeof msgtype !== "string" || typeof body !== "string") {
    throw new MatrixError("M_BAD_JSON", "A message needs a msgtype and a body");
  }
}
