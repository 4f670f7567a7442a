import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { fetchAround, findByTimestamp } from "../find-by-timestamp.ts";
import { momentIn } from "../moment.ts";
import { viewOfRoom } from "../view-of-room.ts";
import { visibleEvents } from "../visible-events.ts";

/** The specification's `room_event_by_timestamp.yaml`. */
export const eventByTimestampEndpoints: readonly Endpoint[] = [
  /** @spec client-server-api#get_matrixclientv1roomsroomidtimestamp_to_event */
  userEndpoint({
    operation: "getEventByTimestamp",
    method: "GET",
    path: "/_matrix/client/v1/rooms/:roomId/timestamp_to_event",
    async handle(hs, { requester, params, query }) {
      const { room, standing } = await viewOfRoom(
        hs,
        requester,
        parseRoomId(params["roomId"] ?? ""),
      );
      const moment = momentIn(query);
      await fetchAround(hs, room, moment.ts);
      const event = await findByTimestamp(
        hs,
        room,
        moment,
        async (events) => await visibleEvents(hs, requester, events, standing),
      );
      if (!event) throw new MatrixError("M_NOT_FOUND", "No event was found in that direction");
      return { event_id: event.eventId, origin_server_ts: event.originServerTs };
    },
  }),
];
