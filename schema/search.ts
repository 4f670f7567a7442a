import { bigint, customType, index, integer, pgTable } from "drizzle-orm/pg-core";

const tsvector = customType<{ data: string }>({ dataType: () => "tsvector" });
const key = (name: string) => bigint(name, { mode: "number" });

/**
 * What users can find by its words: messages, names and topics of rooms, as they are after their edits.
 *
 * A row goes when its event is redacted, and with it.
 */
export const searchEntries = pgTable(
  "search_entries",
  {
    eventKey: key("event_key").primaryKey(),
    roomKey: key("room_key").notNull(),
    /** The event's place in the room's order; see `events`. */
    anchor: key("anchor").notNull(),
    anchorOffset: integer("anchor_offset").notNull(),
    /** See `search-tokens.ts`; without positions. */
    tokens: tsvector("tokens").notNull(),
  },
  (table) => [
    index("search_entries_in_order").on(table.anchor, table.anchorOffset),
    index("search_entries_by_token").using("gin", table.tokens),
  ],
);
