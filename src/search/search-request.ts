import { z } from "zod";
import { RoomEventFilter } from "#src/filters/filter.ts";
import { SEARCH_KEYS, type SearchKey } from "./searchable-text.ts";

const Keys = z.enum(Object.keys(SEARCH_KEYS) as [SearchKey, ...SearchKey[]]);

const Criteria = z.object({
  search_term: z.string().max(4_096),
  keys: z.array(Keys).optional(),
  filter: RoomEventFilter.optional(),
  order_by: z.enum(["rank", "recent"]).optional(),
  event_context: z
    .object({
      before_limit: z.int().min(0).optional(),
      after_limit: z.int().min(0).optional(),
      include_profile: z.boolean().optional(),
    })
    .optional(),
  include_state: z.boolean().optional(),
  groupings: z
    .object({ group_by: z.array(z.object({ key: z.enum(["room_id", "sender"]) })).optional() })
    .optional(),
});

/** The body of `POST /search`. @spec client-server-api#post_matrixclientv3search */
export const SearchRequest = z.object({
  search_categories: z.object({ room_events: Criteria.optional() }),
});

export type SearchRequest = z.infer<typeof SearchRequest>;
export type Criteria = z.infer<typeof Criteria>;
export type GroupKey = "room_id" | "sender";
