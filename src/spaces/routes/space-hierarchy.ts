import { type Endpoint, userEndpoint } from "#src/http/endpoint.ts";
import { parseRoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import { readHierarchy } from "../read-hierarchy.ts";

const USUAL_LIMIT = 50;
const MOST_LIMIT = 1_000;
const MOST_DEPTH = 20;

/** The specification's `space_hierarchy.yaml`. */
export const spaceHierarchyEndpoints: readonly Endpoint[] = [
  userEndpoint({
    operation: "getSpaceHierarchy",
    method: "GET",
    path: "/_matrix/client/v1/rooms/:roomId/hierarchy",
    async handle(hs, { requester, params, query }) {
      const suggestedOnly = readSuggestedOnly(query);
      const maxDepth = Math.min(readNumber(query, "max_depth", 0) ?? MOST_DEPTH, MOST_DEPTH);
      const limit = Math.min(readNumber(query, "limit", 1) ?? USUAL_LIMIT, MOST_LIMIT);
      const offset = readToken(query.get("from"), { suggestedOnly, maxDepth });
      const roomId = parseRoomId(params["roomId"] ?? "");
      const question = { roomId, suggestedOnly, limit, maxDepth, offset };
      const { rooms, hasMore } = await readHierarchy(hs, requester, question);
      if (!hasMore) return { rooms };
      return { rooms, next_batch: tokenOf(offset + limit, { suggestedOnly, maxDepth }) };
    },
  }),
];

/** @throws MatrixError M_INVALID_PARAM */
export function readSuggestedOnly(query: URLSearchParams): boolean {
  const text = query.get("suggested_only") ?? "false";
  if (text === "true" || text === "false") return text === "true";
  throw new MatrixError("M_INVALID_PARAM", "suggested_only must be true or false");
}

/** @throws MatrixError M_INVALID_PARAM */
function readNumber(query: URLSearchParams, name: string, least: number): number | undefined {
  const number = wholeNumber(query, name);
  if (number === undefined || number >= least) return number;
  throw new MatrixError("M_INVALID_PARAM", `${name} must be a whole number from ${least} on`);
}

/** What may not change from page to page. */
type Fixed = { readonly suggestedOnly: boolean; readonly maxDepth: number };

/** The place in the tree, which is walked anew: no process need remember anything. */
function tokenOf(offset: number, { suggestedOnly, maxDepth }: Fixed): string {
  return `${offset}_${maxDepth}_${suggestedOnly}`;
}

/** @throws MatrixError M_INVALID_PARAM */
function readToken(token: string | null, fixed: Fixed): number {
  if (token === null || token === "") return 0;
  const offset = Number(/^(\d{1,6})_/.exec(token)?.[1] ?? Number.NaN);
  if (token === tokenOf(offset, fixed)) return offset;
  throw new MatrixError("M_INVALID_PARAM", "from is no token of this hierarchy");
}
