import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { roomOfMember } from "../room-of-member.ts";
import { ALLOW_BACKWARD, parseThreadId, sendReceipt, setFullyRead } from "../send-receipt.ts";

/** The specification's `receipts.yaml`. */
export const receiptEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "postReceipt",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/receipt/:receiptType/:eventId",
    body: z.object({
      thread_id: z.unknown().optional(),
      [ALLOW_BACKWARD]: z.boolean().optional(),
    }),
    async handle(hs, { requester, params, body }) {
      const type = params["receiptType"];
      if (type !== "m.read" && type !== "m.read.private" && type !== "m.fully_read") {
        throw new MatrixError("M_INVALID_PARAM", "No such type of receipt");
      }
      const thread = parseThreadId(body.thread_id);
      const mayGoBack = body[ALLOW_BACKWARD] === true;
      if (mayGoBack && type !== "m.fully_read") {
        throw new MatrixError("M_INVALID_PARAM", "Only the fully-read marker may be moved back");
      }
      const eventId = parseEventId(params["eventId"] ?? "");
      const room = await roomOfMember(hs, requester, parseRoomId(params["roomId"] ?? ""));
      if (type !== "m.fully_read") {
        await sendReceipt(hs, requester, type, { room, eventId, thread });
      } else if (thread === undefined) {
        await setFullyRead(hs, requester, { room, eventId, mayGoBack });
      } else {
        throw new MatrixError("M_INVALID_PARAM", "m.fully_read knows no threads");
      }
      return {};
    },
  }),
];
