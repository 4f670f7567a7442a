import { type Endpoint, jsonPieces, jsonText, serverEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId, type ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { servedPieces } from "#src/rooms/served-pieces.ts";
import { findByTimestamp } from "#src/timeline/find-by-timestamp.ts";
import { momentIn } from "#src/timeline/moment.ts";
import { visibleToServer } from "#src/timeline/visible-to-server.ts";
import { requireServerIn } from "../doors.ts";
import { pdusForServer } from "../pdus-for-server.ts";
import { type Asked, readEventFor, readStateBefore, type StateAndAuth } from "../read-state.ts";
import { transactionText } from "./transaction-text.ts";

/** The specification's `events.yaml`. */
export const eventEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1eventeventid */
  serverEndpoint({
    operation: "getEvent",
    method: "GET",
    path: "/_matrix/federation/v1/event/:eventId",
    async handle(hs, { requester: server, params }) {
      const eventId = parseEventId(params["eventId"] ?? "");
      const { room, event } = await readEventFor(hs, server, eventId);
      return jsonText(transactionText(hs, await pdusForServer(hs, room, [event], server)));
    },
  }),
  /** @spec server-server-api#get_matrixfederationv1stateroomid */
  serverEndpoint({
    operation: "getRoomState",
    method: "GET",
    path: "/_matrix/federation/v1/state/:roomId",
    async handle(hs, { requester, params, query }) {
      const told = await readStateBefore(hs, asked(requester, params, query));
      return jsonPieces(statePieces(told));
    },
  }),
  /** @spec server-server-api#get_matrixfederationv1state_idsroomid */
  serverEndpoint({
    operation: "getRoomStateIds",
    method: "GET",
    path: "/_matrix/federation/v1/state_ids/:roomId",
    async handle(hs, { requester, params, query }) {
      const { state, authChain } = await readStateBefore(hs, asked(requester, params, query));
      return {
        auth_chain_ids: authChain.map((it) => it.eventId),
        pdu_ids: state.map((it) => it.eventId),
      };
    },
  }),
  /** @spec server-server-api#get_matrixfederationv1timestamp_to_eventroomid */
  serverEndpoint({
    operation: "getEventByTimestamp",
    method: "GET",
    path: "/_matrix/federation/v1/timestamp_to_event/:roomId",
    async handle(hs, { requester: server, params, query }) {
      const moment = momentIn(query);
      const room = await requireServerIn(hs, server, parseRoomId(params["roomId"] ?? ""));
      const event = await findByTimestamp(
        hs,
        room,
        moment,
        async (events) => await visibleToServer(hs, room, events, server),
      );
      if (!event) throw new MatrixError("M_NOT_FOUND", "No event was found in that direction");
      return { event_id: event.eventId, origin_server_ts: event.originServerTs };
    },
  }),
];

/** @throws MatrixError M_MISSING_PARAM, M_INVALID_PARAM */
function asked(
  server: ServerName,
  params: Readonly<Record<string, string>>,
  query: URLSearchParams,
): Asked {
  const eventId = query.get("event_id");
  if (eventId === null) throw new MatrixError("M_MISSING_PARAM", "event_id is missing");
  return { server, roomId: parseRoomId(params["roomId"] ?? ""), eventId: parseEventId(eventId) };
}

async function* statePieces({ room, state, authChain }: StateAndAuth): AsyncGenerator<string> {
  yield '{"auth_chain":[';
  yield* servedPieces(authChain, room.rules);
  yield '],"pdus":[';
  yield* servedPieces(state, room.rules);
  yield "]}";
}
