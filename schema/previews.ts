import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * What URLs lead to, as users were told last.
 *
 * Rows go when they are old; the pictures they name are kept as copies of other servers' files are.
 */
export const urlPreviews = pgTable(
  "url_previews",
  {
    /** The hash of the URL, which may be long. */
    urlHash: text("url_hash").primaryKey(),
    /** JSON. */
    preview: text("preview").notNull(),
    madeMs: key("made_ms").notNull(),
  },
  (table) => [index("url_previews_by_age").on(table.madeMs)],
);
