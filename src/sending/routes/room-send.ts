import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseEventId, parseRoomId, parseTransactionId } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { massagedTime } from "#src/rooms/massaged-time.ts";
import { requireRoom } from "#src/rooms/memberships.ts";
import { redactEvent } from "#src/rooms/redact-event.ts";
import { redactRelated } from "#src/rooms/redact-related.ts";
import { redactionTransactionId } from "#src/rooms/transaction-ids.ts";
import { STATE_PATHS } from "#src/timeline/routes/rooms.ts";
import { delayOf } from "../delay-of.ts";
import { scheduleEvent } from "../schedule-event.ts";
import { sendMessage, sendState } from "../send-content.ts";
import { stickyOf } from "../sticky-of.ts";
import { countInvitation } from "./count-invitation.ts";

/** The specification's `room_send.yaml`, `redaction.yaml`, and of `room_state.yaml` what sends. */
export const roomSendEndpoints: readonly Endpoint[] = [
  userEndpoint<CanonicalObject>({
    operation: "sendMessage",
    method: "PUT",
    path: "/_matrix/client/v3/rooms/:roomId/send/:eventType/:txnId",
    body: JsonObject,
    rate: "message",
    guests: true,
    handle: async (hs, call) => await sendAsAsked(hs, call, transactionIdIn(call)),
  }),
  userEndpoint<CanonicalObject>({
    operation: "setRoomStateWithKey",
    method: "PUT",
    path: STATE_PATHS,
    body: JsonObject,
    rate: "message",
    guests: true,
    async handle(hs, call) {
      const { requester, params, query, body: content } = call;
      const { eventType: type = "", stateKey = "" } = params;
      countInvitation(hs, call, { type, content });
      const room = await requireRoom(hs, parseRoomId(params["roomId"] ?? ""));
      const delayMs = delayOf(query);
      const stickyMs = stickyOf(query);
      if (delayMs !== undefined) {
        const state = { room, type, stateKey, content, txnId: undefined, delayMs, stickyMs };
        return { delay_id: await scheduleEvent(hs, requester, state) };
      }
      const state = { room, type, stateKey, content, time: massagedTime(call), stickyMs };
      return { event_id: await sendState(hs, requester, state) };
    },
  }),
  userEndpoint<CanonicalObject>({
    operation: "redactEvent",
    method: "PUT",
    path: "/_matrix/client/v3/rooms/:roomId/redact/:eventId/:txnId",
    body: JsonObject,
    rate: "message",
    handle: async (hs, call) => await redactAsAsked(hs, call, transactionIdIn(call)),
  }),
  // Two that the specification does not have, but scripts use: what is sent again is another event.
  userEndpoint<CanonicalObject>({
    operation: "sendMessageAnew",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/send/:eventType",
    body: JsonObject,
    rate: "message",
    guests: true,
    handle: async (hs, call) => await sendAsAsked(hs, call, randomUUID()),
  }),
  userEndpoint<CanonicalObject>({
    operation: "redactEventAnew",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/redact/:eventId",
    body: JsonObject,
    rate: "message",
    handle: async (hs, call) => await redactAsAsked(hs, call, randomUUID()),
  }),
];

type SendCall = Call<CanonicalObject, Requester>;

function transactionIdIn({ params }: SendCall): string {
  return parseTransactionId(params["txnId"] ?? "");
}

async function sendAsAsked(hs: Homeserver, call: SendCall, txnId: string): Promise<object> {
  const { requester, params, query, body: content } = call;
  const room = await requireRoom(hs, parseRoomId(params["roomId"] ?? ""));
  const type = params["eventType"] ?? "";
  const delayMs = delayOf(query);
  const stickyMs = stickyOf(query);
  if (delayMs !== undefined) {
    const message = { room, type, stateKey: undefined, content, txnId, delayMs, stickyMs };
    return { delay_id: await scheduleEvent(hs, requester, message) };
  }
  const transaction = { deviceKey: requester.deviceKey, txnId };
  const message = { room, type, content, time: massagedTime(call), stickyMs };
  return { event_id: await sendMessage(hs, requester, message, transaction) };
}

async function redactAsAsked(hs: Homeserver, call: SendCall, txnId: string): Promise<object> {
  const { requester, params, body: content } = call;
  const room = await requireRoom(hs, parseRoomId(params["roomId"] ?? ""));
  const target = parseEventId(params["eventId"] ?? "");
  const { reason } = content;
  if (reason !== undefined && typeof reason !== "string") {
    throw new MatrixError("M_BAD_JSON", "reason: must be a string");
  }
  const relTypes = relTypesIn(content);
  const common = {
    requester,
    room,
    target,
    content: reason === undefined ? {} : { reason },
  };
  const transaction = {
    deviceKey: requester.deviceKey,
    txnId: redactionTransactionId(target, txnId),
  };
  const eventId = await redactEvent(hs, { ...common, transaction, time: massagedTime(call) });
  if (relTypes.length > 0) await redactRelated(hs, { ...common, relTypes, txnId });
  return { event_id: eventId };
}

const RelTypes = z.array(z.string()).max(50);

/**
 * The ways in which what relates to an event is redacted with it: under the name that clients send, and that which
 * proposal 3912 has now.
 *
 * @throws MatrixError M_BAD_JSON
 */
function relTypesIn(content: CanonicalObject): readonly string[] {
  const given = content["with_rel_types"] ?? content["org.matrix.msc3912.with_relations"] ?? [];
  const { data, error } = RelTypes.safeParse(given);
  if (data) return data;
  throw new MatrixError("M_BAD_JSON", "with_rel_types: must be a list of texts", { cause: error });
}
