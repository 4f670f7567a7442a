import { type Endpoint, jsonText, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { limitIn, placeIn } from "../page-parameters.ts";
import { readThreads } from "../read-threads.ts";
import { renderAggregated } from "../render-aggregated.ts";
import { tokenOf } from "../token.ts";
import { shownIn, viewOfRoom } from "../view-of-room.ts";

const LIMITS = { standard: 20, most: 100 };

/** The specification's `threads_list.yaml`. */
export const threadsListEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getThreadRoots",
    method: "GET",
    path: [
      "/_matrix/client/v1/rooms/:roomId/threads",
      "/_matrix/client/unstable/org.matrix.msc3856/rooms/:roomId/threads",
    ],
    async handle(hs, { requester, params, query }) {
      const roomId = parseRoomId(params["roomId"] ?? "");
      const participated = includeIn(query) === "participated";
      const request = { participated, from: placeIn(query, "from"), limit: limitIn(query, LIMITS) };
      const view = await viewOfRoom(hs, requester, roomId);
      const { roots, next, ignored } = await readThreads(hs, requester, view, request);
      const redacted = new Set(roots.filter((it) => ignored.has(it.sender)));
      const chunk = await renderAggregated(hs, roots, requester, {
        ...shownIn(view),
        redacted,
      });
      return jsonText(
        `{"chunk":[${chunk.join(",")}]` +
          (next ? `,"next_batch":${JSON.stringify(tokenOf(next))}` : "") +
          "}",
      );
    },
  }),
];

/** @throws MatrixError M_INVALID_PARAM */
function includeIn(query: URLSearchParams): "all" | "participated" {
  const include = query.get("include") ?? "all";
  if (include === "all" || include === "participated") return include;
  throw new MatrixError("M_INVALID_PARAM", "include must be all or participated");
}
