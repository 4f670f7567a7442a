import { z } from "zod";
import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId, parseUserId } from "#src/kit/identifiers.ts";
import { reportEvent, reportRoom, reportUser } from "../report-content.ts";

const MOST_CHARACTERS = 20_000;
const Reason = z.string().max(MOST_CHARACTERS);

const EventReport = z.object({ reason: Reason.optional() });
const Report = z.object({ reason: Reason });

/** The specification's `report_content.yaml`. */
export const reportEndpoints: readonly Endpoint[] = [
  userEndpoint<z.infer<typeof Report>>({
    operation: "reportRoom",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/report",
    body: Report,
    async handle(hs, { requester, params, body: { reason } }) {
      await reportRoom(hs, requester, { roomId: parseRoomId(params["roomId"] ?? ""), reason });
      return {};
    },
  }),
  userEndpoint<z.infer<typeof EventReport>>({
    operation: "reportEvent",
    method: "POST",
    path: "/_matrix/client/v3/rooms/:roomId/report/:eventId",
    body: EventReport,
    async handle(hs, { requester, params, body: { reason } }) {
      await reportEvent(hs, requester, {
        roomId: parseRoomId(params["roomId"] ?? ""),
        eventId: parseEventId(params["eventId"] ?? ""),
        ...(reason !== undefined && { reason }),
      });
      return {};
    },
  }),
  userEndpoint<z.infer<typeof Report>>({
    operation: "reportUser",
    method: "POST",
    path: "/_matrix/client/v3/users/:userId/report",
    body: Report,
    async handle(hs, { requester, params, body: { reason } }) {
      await reportUser(hs, requester, { userId: parseUserId(params["userId"] ?? ""), reason });
      return {};
    },
  }),
];
