import {
  bigint,
  boolean,
  foreignKey,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import type { RoomId } from "#src/kit/identifiers.ts";
import { devices } from "./devices.ts";
import { users } from "./users.ts";

const key = (name: string) => bigint(name, { mode: "number" });

const deviceKey = () =>
  key("device_key")
    .notNull()
    .references(() => devices.deviceKey, { onDelete: "cascade" });

const userKey = () =>
  key("user_key")
    .notNull()
    .references(() => users.userKey);

/**
 * The identity keys of devices, as JSON with the signatures that it was uploaded with.
 *
 * Rows go with their devices.
 */
export const deviceKeys = pgTable("device_keys", {
  deviceKey: deviceKey().primaryKey(),
  json: text("json").notNull(),
});

/**
 * Keys that are handed out once each, the oldest first.
 *
 * A row goes when its key is claimed, or with the device.
 */
export const oneTimeKeys = pgTable(
  "one_time_keys",
  {
    deviceKey: deviceKey(),
    algorithm: text("algorithm").notNull(),
    keyId: text("key_id").notNull(),
    /** The order of upload. */
    ordinal: key("ordinal").generatedAlwaysAsIdentity(),
    json: text("json").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.deviceKey, table.algorithm, table.keyId] }),
    uniqueIndex("one_time_keys_in_order").on(table.deviceKey, table.algorithm, table.ordinal),
  ],
);

/**
 * One-time keys that have been handed out: a client that has not heard that its upload was taken comes with them again,
 * and nobody else is to be given one then.
 *
 * Rows go with the device, when it gets another identity, and with what it uploads a week later.
 */
export const claimedKeys = pgTable(
  "claimed_keys",
  {
    deviceKey: deviceKey(),
    algorithm: text("algorithm").notNull(),
    keyId: text("key_id").notNull(),
    json: text("json").notNull(),
    claimedAtMs: key("claimed_at_ms").notNull(),
  },
  (table) => [primaryKey({ columns: [table.deviceKey, table.algorithm, table.keyId] })],
);

/**
 * The keys that are handed out when one-time keys have run out: one for each algorithm.
 *
 * Rows go with their devices.
 */
export const fallbackKeys = pgTable(
  "fallback_keys",
  {
    deviceKey: deviceKey(),
    algorithm: text("algorithm").notNull(),
    keyId: text("key_id").notNull(),
    json: text("json").notNull(),
    /** Whether it has been handed out since it was uploaded. */
    used: boolean("used").notNull(),
  },
  (table) => [primaryKey({ columns: [table.deviceKey, table.algorithm] })],
);

/**
 * When a device's one-time or fallback keys last became more or fewer, for what is held in memory of
 * their number.
 *
 * One row for a device that has keys; it goes with the device.
 */
export const keySupplyChanges = pgTable(
  "key_supply_changes",
  {
    deviceKey: deviceKey().primaryKey(),
    position: key("position").notNull(),
    /** Whether keys were handed out, rather than uploaded. */
    claimed: boolean("claimed").notNull(),
  },
  (table) => [index("key_supply_changes_by_position").on(table.position)],
);

/**
 * Signatures on the keys of a device that were uploaded later than the keys.
 *
 * Rows go with the device, when it gets other keys, and when the key that made them is replaced.
 */
export const deviceSignatures = pgTable(
  "device_signatures",
  {
    deviceKey: deviceKey(),
    signerKey: key("signer_key").notNull(),
    keyId: text("key_id").notNull(),
    signature: text("signature").notNull(),
  },
  (table) => [primaryKey({ columns: [table.deviceKey, table.signerKey, table.keyId] })],
);

/**
 * The keys of users by which they sign their devices and each other: at most one for each usage. Of
 * users of other servers, those that came with the list of their devices.
 *
 * A row goes when the user replaces the key, with the signatures on it, and with a remote list.
 */
export const crossSigningKeys = pgTable(
  "cross_signing_keys",
  {
    userKey: userKey(),
    /** `master`, `self_signing` or `user_signing`. */
    usage: text("usage").notNull(),
    /** The public key in Base64, as its owner wrote it. */
    publicKey: text("public_key").notNull(),
    /** With the signatures that it was uploaded with. */
    json: text("json").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userKey, table.usage] })],
);

/**
 * Signatures on users' keys that were uploaded later than the keys.
 *
 * Rows go with the key that they are on, and with the account of the signer.
 */
export const crossSigningSignatures = pgTable(
  "cross_signing_signatures",
  {
    userKey: userKey(),
    usage: text("usage").notNull(),
    signerKey: key("signer_key").notNull(),
    keyId: text("key_id").notNull(),
    signature: text("signature").notNull(),
    /** When it came: the signer's other devices must hear of it. */
    position: key("position").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userKey, table.usage, table.signerKey, table.keyId] }),
    index("cross_signing_signatures_by_position").on(table.position),
    foreignKey({
      columns: [table.userKey, table.usage],
      foreignColumns: [crossSigningKeys.userKey, crossSigningKeys.usage],
    }).onDelete("cascade"),
  ],
);

/**
 * The lists of devices of users of other servers with whom users of ours share rooms: what we are told
 * of their changes keeps them true.
 *
 * A row goes, with the devices and the user's keys, when nobody here shares a room with the user any
 * more (`forget-remote-device-lists`).
 */
export const remoteDeviceLists = pgTable("remote_device_lists", {
  userKey: userKey().primaryKey(),
  /** The last change that is in it, by the other server's number. Null if the list came without one. */
  streamId: key("stream_id"),
  /** From which position on we know of all changes, as long as a room has been shared since. */
  askedAt: key("asked_at").notNull(),
  /** Whether a change has been missed, so that all of the list must be asked for. */
  isStale: boolean("is_stale").notNull(),
});

/**
 * The devices in those lists that have keys.
 *
 * Rows go with the list, and when the other server says so.
 */
export const remoteDevices = pgTable(
  "remote_devices",
  {
    userKey: key("user_key")
      .notNull()
      .references(() => remoteDeviceLists.userKey, { onDelete: "cascade" }),
    deviceId: text("device_id").notNull(),
    displayName: text("display_name"),
    /** The identity keys, as JSON with all signatures that came with them. */
    json: text("json").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userKey, table.deviceId] })],
);

/**
 * How many key backups a user has made, so that no version is ever called as another was.
 *
 * One row for each user who ever made one; rows stay, as users do.
 */
export const keyBackupCounters = pgTable("key_backup_counters", {
  userKey: userKey().primaryKey(),
  lastVersion: integer("last_version").notNull(),
});

/**
 * Versions of users' key backups.
 *
 * A row goes when the user deletes the version, and with the account.
 */
export const keyBackups = pgTable(
  "key_backups",
  {
    userKey: userKey(),
    version: integer("version").notNull(),
    algorithm: text("algorithm").notNull(),
    /** JSON. */
    authData: text("auth_data").notNull(),
    /** Goes up with every change of what is in it. */
    etag: key("etag").notNull(),
    sessionCount: integer("session_count").notNull(),
  },
  (table) => [primaryKey({ columns: [table.userKey, table.version] })],
);

/**
 * The encrypted keys of sessions in a backup.
 *
 * Rows go with the version of the backup, and when the user deletes them.
 */
export const keyBackupSessions = pgTable(
  "key_backup_sessions",
  {
    userKey: key("user_key").notNull(),
    version: integer("version").notNull(),
    roomId: text("room_id").$type<RoomId>().notNull(),
    sessionId: text("session_id").notNull(),
    firstMessageIndex: key("first_message_index").notNull(),
    forwardedCount: key("forwarded_count").notNull(),
    isVerified: boolean("is_verified").notNull(),
    /** JSON. */
    sessionData: text("session_data").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.userKey, table.version, table.roomId, table.sessionId] }),
    foreignKey({
      columns: [table.userKey, table.version],
      foreignColumns: [keyBackups.userKey, keyBackups.version],
    }).onDelete("cascade"),
  ],
);

/**
 * Devices that nobody is logged in on, whose secrets, encrypted, wait here with the messages for them (MSC3814). Of
 * each user the newest counts; the others go with the next.
 *
 * Rows go with their devices.
 */
export const dehydratedDevices = pgTable(
  "dehydrated_devices",
  {
    deviceKey: key("device_key")
      .primaryKey()
      .references(() => devices.deviceKey, { onDelete: "cascade" }),
    userKey: key("user_key").notNull(),
    /** JSON. */
    secrets: text("secrets").notNull(),
  },
  (table) => [index("dehydrated_devices_of_user").on(table.userKey)],
);
