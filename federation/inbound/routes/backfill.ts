import { z } from "zod";
import { type Endpoint, jsonText, serverEndpoint } from "#src/http/endpoint.ts";
import { parseEventId, parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import { AnEventId } from "../../client/answer-schemas.ts";
import { requireServerIn } from "../doors.ts";
import { pdusForServer } from "../pdus-for-server.ts";
import { walkBack } from "../walk-back.ts";
import { transactionText } from "./transaction-text.ts";

const MOST_BACKFILLED = 100;
const MOST_MISSING = 50;
const USUALLY_MISSING = 10;

/** How many events a server may name. A room has no more ends than this, if it is sane. */
const MOST_NAMED = 1_000;

const MissingEvents = z.object({
  earliest_events: z.array(AnEventId).max(MOST_NAMED),
  latest_events: z.array(AnEventId).max(MOST_NAMED),
  limit: z.int().nonnegative().default(USUALLY_MISSING),
  min_depth: z.int().default(0),
});

/** The specification's `backfill.yaml`. */
export const backfillEndpoints: readonly Endpoint[] = [
  /** @spec server-server-api#get_matrixfederationv1backfillroomid */
  serverEndpoint({
    operation: "backfillRoom",
    method: "GET",
    path: "/_matrix/federation/v1/backfill/:roomId",
    async handle(hs, { requester: server, params, query }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      const from = query.getAll("v").slice(0, MOST_NAMED).map(parseEventId);
      if (from.length === 0) throw new MatrixError("M_MISSING_PARAM", "v is missing");
      const limit = limitIn(query);
      const room = await requireServerIn(hs, server, roomId);
      const events = await walkBack(hs, room, { from, limit, includesFrom: true });
      const pdus = await pdusForServer(hs, room, events.toReversed(), server);
      return jsonText(transactionText(hs, pdus));
    },
  }),
  /** @spec server-server-api#post_matrixfederationv1get_missing_eventsroomid */
  serverEndpoint<z.infer<typeof MissingEvents>>({
    operation: "getMissingPreviousEvents",
    method: "POST",
    path: "/_matrix/federation/v1/get_missing_events/:roomId",
    body: MissingEvents,
    async handle(hs, { requester: server, params, body }) {
      const room = await requireServerIn(hs, server, parseRoomId(params["roomId"] ?? ""));
      const events = await walkBack(hs, room, {
        from: body.latest_events,
        until: new Set(body.earliest_events),
        limit: Math.min(body.limit, MOST_MISSING),
        minDepth: body.min_depth,
        includesFrom: false,
      });
      const pdus = await pdusForServer(hs, room, events, server);
      return jsonText(`{"events":[${pdus.join(",")}]}`);
    },
  }),
];

/** @throws MatrixError M_MISSING_PARAM, M_INVALID_PARAM */
function limitIn(query: URLSearchParams): number {
  const limit = wholeNumber(query, "limit");
  if (limit === undefined) throw new MatrixError("M_MISSING_PARAM", "limit is missing");
  return Math.min(limit, MOST_BACKFILLED);
}
