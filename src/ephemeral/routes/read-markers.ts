import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { roomOfMember } from "../room-of-member.ts";
import { ALLOW_BACKWARD, sendReceipt, setFullyRead } from "../send-receipt.ts";

/** Clients may send null for what they do not want to set. */
const marker = z.string().nullish();

/** The specification's `read_markers.yaml`. */
export const readMarkerEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "setReadMarker",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/read_markers",
    body: z.object({
      "m.fully_read": marker,
      "m.read": marker,
      "m.read.private": marker,
      [ALLOW_BACKWARD]: z.boolean().optional(),
    }),
    async handle(hs, { requester, params, body }) {
      const room = await roomOfMember(hs, requester, parseRoomId(params["roomId"] ?? ""));
      const fullyRead = body["m.fully_read"];
      if (fullyRead != null) {
        const mayGoBack = body[ALLOW_BACKWARD];
        await setFullyRead(hs, requester, { room, eventId: parseEventId(fullyRead), mayGoBack });
      }
      for (const type of ["m.read", "m.read.private"] as const) {
        const eventId = body[type];
        if (eventId == null) continue;
        await sendReceipt(hs, requester, type, { room, eventId: parseEventId(eventId) });
      }
      return {};
    },
  }),
];
