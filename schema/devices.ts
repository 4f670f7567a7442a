import { sql } from "drizzle-orm";
import { bigint, index, integer, pgTable, primaryKey, text, unique } from "drizzle-orm/pg-core";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { users } from "./users.ts";

const key = (name: string) => bigint(name, { mode: "number" });

/**
 * The devices of our users: one for each login.
 *
 * Rows go when the device is logged out or deleted, and take with them its tokens, keys and messages.
 */
export const devices = pgTable(
  "devices",
  {
    deviceKey: key("device_key").primaryKey().generatedAlwaysAsIdentity(),
    userKey: key("user_key")
      .notNull()
      .references(() => users.userKey),
    deviceId: text("device_id").notNull(),
    displayName: text("display_name"),
    lastSeenMs: key("last_seen_ms"),
    lastSeenIp: text("last_seen_ip"),
    /** As what the client called itself then. */
    lastSeenAgent: text("last_seen_agent"),
    /** When somebody last proved at it who they are, where that is asked for again only after a time. */
    provedMs: key("proved_ms"),
  },
  (table) => [unique("devices_by_id").on(table.userKey, table.deviceId)],
);

/**
 * Devices that were deleted a short while ago, so that every process forgets what it holds of them.
 *
 * Rows go with later deletions, once no process can be so far behind that it still needs them.
 */
export const deviceDeletions = pgTable(
  "device_deletions",
  {
    position: key("position").notNull(),
    deviceKey: key("device_key").notNull(),
    userKey: key("user_key").notNull(),
  },
  (table) => [primaryKey({ columns: [table.position, table.deviceKey] })],
);

/**
 * When a user's devices, the names of them or the user's keys last changed: other users' clients
 * learn from it that they must ask again.
 *
 * One row for each user who ever had a device, whose position moves; rows stay, as users do.
 */
export const deviceLists = pgTable(
  "device_lists",
  {
    userKey: key("user_key")
      .primaryKey()
      .references(() => users.userKey),
    position: key("position").notNull(),
  },
  (table) => [index("device_lists_by_position").on(table.position)],
);

/**
 * What other servers are told of changes of our users' devices and keys, one after the other.
 *
 * Rows go when no server can be owed them any more (`forget-destinations`), but for each user's last, which the next
 * one follows.
 */
export const deviceListUpdates = pgTable(
  "device_list_updates",
  {
    position: key("position").notNull(),
    part: integer("part").notNull(),
    userKey: key("user_key").notNull(),
    /** The device whose keys have changed, or which is gone; null if it is the user's own keys that have. */
    deviceId: text("device_id"),
    /** The number of the update of a device that came before; see `device-updates.ts`. Null for the first. */
    prevId: key("prev_id"),
  },
  (table) => [
    primaryKey({ columns: [table.position, table.part] }),
    index("device_list_updates_of_user").on(table.userKey, table.position, table.part),
  ],
);

/**
 * Messages that wait for a device.
 *
 * Rows go when the device says that it has got them, by the token of its next sync; or with the device.
 */
export const toDevice = pgTable(
  "to_device",
  {
    deviceKey: key("device_key")
      .notNull()
      .references(() => devices.deviceKey, { onDelete: "cascade" }),
    position: key("position").notNull(),
    /** Which of the messages that one write brought to the device. */
    part: integer("part").notNull(),
    senderKey: key("sender_key").notNull(),
    type: text("type").notNull(),
    /** JSON. */
    content: text("content").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.deviceKey, table.position, table.part] }),
    index("to_device_by_position").on(table.position),
  ],
);

/**
 * Requests to send messages that were carried out, so that a repeated request does nothing.
 *
 * Rows go a day later. An application service that speaks for a user on no device has minus the user's key for the key of a
 * device: so that is none of another table's.
 */
export const toDeviceTransactions = pgTable(
  "to_device_transactions",
  {
    deviceKey: key("device_key").notNull(),
    type: text("type").notNull(),
    txnId: text("txn_id").notNull(),
    doneMs: key("done_ms").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.deviceKey, table.txnId, table.type] }),
    index("to_device_transactions_by_age").on(table.doneMs),
  ],
);

/**
 * Messages for the devices of users of other servers.
 *
 * A row goes when the other server has taken it, or has been away for so long that it is given up (`forget-destinations`).
 */
export const remoteToDevice = pgTable(
  "remote_to_device",
  {
    serverName: text("server_name").$type<ServerName>().notNull(),
    position: key("position").notNull(),
    part: integer("part").notNull(),
    senderKey: key("sender_key").notNull(),
    userId: text("user_id").$type<UserId>().notNull(),
    /** `*` for all devices of the user. */
    deviceId: text("device_id").notNull(),
    type: text("type").notNull(),
    /** JSON. */
    content: text("content").notNull(),
    /** By which the other server tells repetitions. */
    messageId: text("message_id")
      .notNull()
      .default(sql`gen_random_uuid()`),
  },
  (table) => [
    primaryKey({ columns: [table.serverName, table.position, table.part] }),
    index("remote_to_device_by_position").on(table.position),
  ],
);

/**
 * Messages to devices that other servers have brought us, so that one that is repeated does nothing.
 *
 * Rows go after a week: who has had no answer repeats what they said sooner.
 */
export const receivedToDevice = pgTable(
  "received_to_device",
  {
    serverName: text("server_name").$type<ServerName>().notNull(),
    messageId: text("message_id").notNull(),
    receivedMs: key("received_ms").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.serverName, table.messageId] }),
    index("received_to_device_by_age").on(table.receivedMs),
  ],
);
