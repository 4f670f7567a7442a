import { z } from "zod";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { wholeNumber } from "#src/kit/whole-number.ts";
import type { PublicRoomsQuestion } from "../public-rooms.ts";

const limit = z.int().min(0).nullish();

/** The body by which users and servers ask for some of the rooms of a directory. */
export const PublicRoomsFilter = z.object({
  limit,
  since: z.string().nullish(),
  filter: z
    .object({
      generic_search_term: z.string().max(1_000).nullish(),
      room_types: z.array(z.string().nullable()).max(1_000).nullish(),
    })
    .nullish(),
  include_all_networks: z.boolean().nullish(),
  third_party_instance_id: z.string().nullish(),
});

/** What a body asks for. */
export function questionOf(body: z.infer<typeof PublicRoomsFilter>): PublicRoomsQuestion {
  return {
    network: body.include_all_networks ? null : networkIn(body.third_party_instance_id),
    limit: body.limit ?? undefined,
    since: body.since ?? undefined,
    searchTerm: body.filter?.generic_search_term ?? undefined,
    roomTypes: body.filter?.room_types ?? undefined,
  };
}

/**
 * What a query asks for.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export function questionIn(query: URLSearchParams): PublicRoomsQuestion {
  const isAll = query.get("include_all_networks") === "true";
  return {
    network: isAll ? null : networkIn(query.get("third_party_instance_id")),
    limit: wholeNumber(query, "limit"),
    since: query.get("since") ?? undefined,
    searchTerm: undefined,
    roomTypes: undefined,
  };
}

/** @throws MatrixError M_INVALID_PARAM of what names no network. */
function networkIn(instanceId: string | null | undefined): string {
  if (instanceId?.includes("\0")) {
    throw new MatrixError("M_INVALID_PARAM", "third_party_instance_id names no network");
  }
  return instanceId ?? "";
}
