import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Call, type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { asNotFound, limitIn, placeIn } from "../page-parameters.ts";
import { readRelations, RECURSION_DEPTH } from "../read-relations.ts";
import { renderAggregated } from "../render-aggregated.ts";
import { tokenOf } from "../token.ts";
import { shownIn, viewOfRoom } from "../view-of-room.ts";

const LIMITS = { standard: 5, most: 100 };

/** Clients that know the routes from before they were in the specification ask there. */
const paths = (further: string) => [
  `/_matrix/client/v1/rooms/:roomId/relations/:eventId${further}`,
  `/_matrix/client/unstable/rooms/:roomId/relations/:eventId${further}`,
];

/** The specification's `relations.yaml`. */
export const relationsEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getRelatingEvents",
    method: "GET",
    path: paths(""),
    handle: answer,
  }),
  userEndpoint({
    operation: "getRelatingEventsWithRelType",
    method: "GET",
    path: paths("/:relType"),
    handle: answer,
  }),
  userEndpoint({
    operation: "getRelatingEventsWithRelTypeAndEventType",
    method: "GET",
    path: paths("/:relType/:eventType"),
    handle: answer,
  }),
];

/** @spec client-server-api#get_matrixclientv1roomsroomidrelationseventid */
async function answer(
  hs: Homeserver,
  { requester, params, query }: Call<undefined, Requester>,
): Promise<Response> {
  const roomId = parseRoomId(params["roomId"] ?? "");
  const eventId = parseEventId(params["eventId"] ?? "");
  const direction = directionIn(query);
  const recurse = recurseIn(query);
  const from = placeIn(query, "from");
  const limit = limitIn(query, LIMITS);
  const view = await viewOfRoom(hs, requester, roomId).catch(asNotFound);
  const { events, next } = await readRelations(hs, requester, view, {
    eventId,
    relType: params["relType"],
    type: params["eventType"],
    direction,
    recurse,
    from,
    to: placeIn(query, "to"),
    limit,
  });
  const chunk = await renderAggregated(hs, events, requester, shownIn(view));
  return jsonText(
    `{"chunk":[${chunk.join(",")}]` +
      (next ? `,"next_batch":${JSON.stringify(tokenOf(next))}` : "") +
      (from ? `,"prev_batch":${JSON.stringify(tokenOf(from))}` : "") +
      (recurse ? `,"recursion_depth":${RECURSION_DEPTH}` : "") +
      "}",
  );
}

/** @throws MatrixError M_INVALID_PARAM */
function directionIn(query: URLSearchParams): "b" | "f" {
  const direction = query.get("dir") ?? "b";
  if (direction === "b" || direction === "f") return direction;
  throw new MatrixError("M_INVALID_PARAM", "dir must be b or f");
}

/** @throws MatrixError M_INVALID_PARAM */
function recurseIn(query: URLSearchParams): boolean {
  const recurse = query.get("recurse") ?? "false";
  if (recurse === "true" || recurse === "false") return recurse === "true";
  throw new MatrixError("M_INVALID_PARAM", "recurse must be true or false");
}
