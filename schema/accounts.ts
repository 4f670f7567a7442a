import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  customType,
  index,
  integer,
  pgTable,
  text,
  uniqueIndex,
} from "drizzle-orm/pg-core";
import { devices } from "./devices.ts";
import { users } from "./users.ts";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });
const number = (name: string) => bigint(name, { mode: "number" });

/**
 * The accounts of this server, those that were deactivated too.
 *
 * Rows stay: a user ID, once used, is never another's.
 */
export const accounts = pgTable(
  "accounts",
  {
    userKey: number("user_key")
      .primaryKey()
      .references(() => users.userKey),
    /** Argon2id, in its usual text form. Null if the account has no password. */
    passwordHash: text("password_hash"),
    isAdmin: boolean("is_admin").notNull().default(false),
    isGuest: boolean("is_guest").notNull().default(false),
    isLocked: boolean("is_locked").notNull().default(false),
    isSuspended: boolean("is_suspended").notNull().default(false),
    createdAtMs: number("created_at_ms").notNull(),
    /** Null while the account may be used. */
    deactivatedAtMs: number("deactivated_at_ms"),
    /** Whether whoever deactivated it asked for their content to be erased. */
    isErased: boolean("is_erased").notNull().default(false),
    /**
     * Of a deactivated account: the rooms up to this key have been left already, below 1 none. Null when there is
     * nothing to leave.
     */
    leavingAfter: number("leaving_after"),
    /** When what an access token depends on last changed; 0 if never. */
    position: number("position").notNull().default(0),
  },
  (table) => [
    index("accounts_by_position").on(table.position),
    index("accounts_erased")
      .on(table.userKey)
      .where(sql`is_erased`),
    index("accounts_ended")
      .on(table.deactivatedAtMs)
      .where(sql`deactivated_at_ms is not null`),
    index("accounts_leaving")
      .on(table.userKey)
      .where(sql`leaving_after is not null`),
    index("accounts_of_guests")
      .on(table.userKey)
      .where(sql`is_guest`),
  ],
);

/**
 * Rooms that guests are in, and the state of each by which it is known that it lets them in.
 *
 * A row goes when no guest is in the room any more (`dismiss-guests`).
 */
export const guestRooms = pgTable("guest_rooms", {
  roomKey: number("room_key").primaryKey(),
  lookedAt: number("looked_at").notNull(),
  /** Since when a guest whom it does not let in cannot be made to leave, and when that is tried again. Null if all are out. */
  stuckSinceMs: number("stuck_since_ms"),
  dueMs: number("due_ms"),
});

/**
 * What devices show to say whose they are: an access token, and where the client can, a refresh token
 * to get the next pair with. Only hashes are stored.
 *
 * Rows go with their device, when the pair after them is first used, and some time after they expired.
 */
export const accessTokens = pgTable(
  "access_tokens",
  {
    tokenKey: number("token_key").primaryKey().generatedAlwaysAsIdentity(),
    accessHash: bytea("access_hash").notNull().unique(),
    /** Null for a client that does not refresh. */
    refreshHash: bytea("refresh_hash").unique(),
    deviceKey: number("device_key")
      .notNull()
      .references(() => devices.deviceKey, { onDelete: "cascade" }),
    /** Null: never. */
    accessExpiresAtMs: number("access_expires_at_ms"),
    refreshExpiresAtMs: number("refresh_expires_at_ms"),
    /** The pair that this one was given for. Null once this one has been used, and for a first pair. */
    replaces: number("replaces"),
  },
  (table) => [
    index("access_tokens_of_device").on(table.deviceKey),
    index("access_tokens_by_expiry").on(table.accessExpiresAtMs),
  ],
);

/**
 * Secrets that are good for one use: log-in tokens, the link for the first administrator, nonces of
 * registration by shared secret. Only hashes are stored.
 *
 * Rows go when they are used, and when they expire.
 */
export const oneTimeTokens = pgTable(
  "one_time_tokens",
  {
    hash: bytea("hash").primaryKey(),
    /** `login`, `setup` or `nonce`. */
    purpose: text("purpose").notNull(),
    /** Whom it is for, if it is for one user. */
    userKey: number("user_key"),
    createdAtMs: number("created_at_ms").notNull(),
    /** Null: when it is used, or another takes its place. */
    expiresAtMs: number("expires_at_ms"),
  },
  (table) => [index("one_time_tokens_by_expiry").on(table.expiresAtMs)],
);

/**
 * Tokens that administrators give to those who may register.
 *
 * Rows go when an administrator deletes them.
 */
export const registrationTokens = pgTable("registration_tokens", {
  token: text("token").primaryKey(),
  /** How many accounts may be made with it. Null: any number. */
  usesAllowed: integer("uses_allowed"),
  usesCompleted: integer("uses_completed").notNull().default(0),
  /** Null: never. */
  expiresAtMs: number("expires_at_ms"),
});

/**
 * User-interactive authentication that has begun.
 *
 * Rows go when all is proved, and when they expire. That of a registration stays until then, with whom it has made.
 */
export const uiaSessions = pgTable(
  "uia_sessions",
  {
    sessionId: text("session_id").primaryKey(),
    /** The operation and the path's parameters that it is for; `finished` of a registration that has been made. */
    subject: text("subject").notNull(),
    /** The user it is for, or that has been made; null if nobody has been logged in. */
    userKey: number("user_key"),
    /** SHA-256 of the request's body without `auth`. */
    bodyHash: bytea("body_hash").notNull(),
    /** JSON: what each completed stage has proved, by the stage's type. */
    completed: text("completed").notNull(),
    /** JSON: what the request that began it asked for, if clients may go on with the session alone. Null once all is proved. */
    asked: text("asked"),
    expiresAtMs: number("expires_at_ms").notNull(),
  },
  (table) => [index("uia_sessions_by_expiry").on(table.expiresAtMs)],
);

/**
 * What users of this server tell about themselves.
 *
 * One row for each account that ever told anything; emptied when the account is deactivated.
 */
export const profiles = pgTable("profiles", {
  userKey: number("user_key")
    .primaryKey()
    .references(() => users.userKey),
  displayname: text("displayname"),
  avatarUrl: text("avatar_url"),
  /** JSON: all other fields, in the order in which they were first set. */
  others: text("others").notNull().default("{}"),
});

/**
 * Profiles whose name or picture changed, and how far the rooms have been told.
 *
 * A row goes when all rooms have been told, or after a day.
 */
export const profileUpdates = pgTable("profile_updates", {
  userKey: number("user_key").primaryKey(),
  /** Goes up with every change, so that whoever tells the rooms of an older one notices. */
  generation: integer("generation").notNull().default(1),
  /** The rooms up to this key have been told. */
  afterRoomKey: number("after_room_key").notNull().default(0),
  /** Until when the rooms are being told by some process. */
  leasedUntilMs: number("leased_until_ms").notNull().default(0),
  /** When it last changed. */
  sinceMs: number("since_ms").notNull().default(0),
  /** After which room those come that cannot be told now, and are to be later. Null while all could be told. */
  againAfter: number("again_after"),
  /** When these are told, after all others have been. */
  dueMs: number("due_ms").notNull().default(0),
});

/**
 * The words by which the user directory finds a user: of the user ID and the display name, in lower
 * case and without accents.
 *
 * Rows are replaced when the name changes, and go when the account is deactivated or the user is in no
 * room we know any longer.
 */
export const directoryWords = pgTable(
  "directory_words",
  {
    userKey: number("user_key").notNull(),
    word: text("word").notNull(),
  },
  (table) => [
    uniqueIndex("directory_words_of_user").on(table.userKey, table.word),
    index("directory_words_by_prefix").on(table.word.op("text_pattern_ops")),
  ],
);

/**
 * What the user directory shows of users of other servers: what their newest member event says, if
 * they are in rooms that anybody may look into, the newest of such a room.
 *
 * Rows go with their words.
 */
export const remoteProfiles = pgTable("remote_profiles", {
  userKey: number("user_key").primaryKey(),
  displayname: text("displayname"),
  avatarUrl: text("avatar_url"),
  /** Whether a room that anybody may look into says so. */
  isOpen: boolean("is_open").notNull(),
});

/**
 * Rooms that somebody of this server is in and anybody may join or look into: their members may be found by everybody.
 *
 * Rows go when a room becomes less open, and when the last of this server leaves it.
 */
export const openRooms = pgTable("open_rooms", { roomKey: number("room_key").primaryKey() });

/**
 * Tokens by which third parties learn from this server who a user is. Only hashes are stored.
 *
 * Rows go when they expire.
 */
export const openIdTokens = pgTable(
  "openid_tokens",
  {
    hash: bytea("hash").primaryKey(),
    userKey: number("user_key").notNull(),
    expiresAtMs: number("expires_at_ms").notNull(),
  },
  (table) => [index("openid_tokens_by_expiry").on(table.expiresAtMs)],
);
