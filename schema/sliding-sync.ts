import { bigint, index, pgTable, text } from "drizzle-orm/pg-core";
import { devices } from "./devices.ts";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * What clients have been told on their connections of sliding sync. A row never changes; a new one comes only with
 * an answer that tells of something for the first time, or no longer.
 *
 * Of a connection the row stays that the client has shown to have got, and the newest few that it may have got since;
 * others go with the next one (`queries-connections.ts`). All go with the device, when it has very many connections, and when
 * the connection has not been used for long (`forget-connections`).
 */
export const slidingConnections = pgTable(
  "sliding_connections",
  {
    toldKey: key("told_key").primaryKey().generatedAlwaysAsIdentity(),
    deviceKey: key("device_key")
      .notNull()
      .references(() => devices.deviceKey, { onDelete: "cascade" }),
    /** What the client calls the connection; empty if it has no name. */
    connectionId: text("connection_id").notNull(),
    /** A `ConnectionState`, as JSON. */
    told: text("told").notNull(),
    /** When it was last asked for, give or take a day. */
    usedMs: key("used_ms").notNull(),
  },
  (table) => [
    index("sliding_connections_of_device").on(table.deviceKey, table.connectionId),
    index("sliding_connections_by_use").on(table.usedMs),
  ],
);
