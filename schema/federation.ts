import { bigint, boolean, index, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import type { KeyId } from "#src/kit/signed-json.ts";

const number = (name: string) => bigint(name, { mode: "number" });

/**
 * The keys that other servers sign with, as they published them.
 *
 * A row goes when its key has verified nothing for a year: what was verified once is not verified again; or when its server
 * has published very many others since.
 */
export const serverKeys = pgTable(
  "server_keys",
  {
    serverName: text("server_name").$type<ServerName>().notNull(),
    keyId: text("key_id").$type<KeyId>().notNull(),
    /** In Base64, as published. */
    publicKey: text("public_key").notNull(),
    /** Whether the server has stopped to sign with it: then it verifies events, and no requests. */
    isOld: boolean("is_old").notNull(),
    /** Until when it is valid; of an old one, until when it was. */
    validUntilMs: number("valid_until_ms").notNull(),
    /** When we last heard of it. */
    fetchedMs: number("fetched_ms").notNull(),
    /** When we last had use for it, to the week. */
    usedMs: number("used_ms").notNull(),
    /** What the server published, with its signatures: the last of its answers that has the key. */
    document: text("document").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.serverName, table.keyId] }),
    index("server_keys_used").on(table.usedMs),
  ],
);

/**
 * Events in transactions of other servers that could be neither stored nor refused: what authorises them
 * could not be had, the room's policy server could not be asked, or we failed. They are tried again.
 *
 * A row goes when its event has been dealt with, when we are in the room no more, or after a month.
 */
export const unsettledPdus = pgTable(
  "unsettled_pdus",
  {
    roomKey: number("room_key").notNull(),
    /** The server that has sent it. */
    origin: text("origin").$type<ServerName>().notNull(),
    /** In room versions 1 and 2 whoever makes an event chooses it: so no server uses up what another means to send. */
    eventId: text("event_id").$type<EventId>().notNull(),
    json: text("json").notNull(),
    receivedMs: number("received_ms").notNull(),
    /** When it is tried again, and how often it has been. */
    dueMs: number("due_ms").notNull(),
    failures: integer("failures").notNull().default(0),
  },
  (table) => [
    primaryKey({ columns: [table.roomKey, table.origin, table.eventId] }),
    index("unsettled_pdus_due").on(table.dueMs),
  ],
);

/**
 * Transactions of other servers that were taken in and had more than events, with what was answered: one that is sent
 * again gets the same answer, and does nothing twice.
 *
 * A row goes after a day, by a job.
 */
export const receivedTransactions = pgTable(
  "received_transactions",
  {
    origin: text("origin").$type<ServerName>().notNull(),
    txnId: text("txn_id").notNull(),
    /** The JSON of the answer. */
    answer: text("answer").notNull(),
    answeredMs: number("answered_ms").notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.origin, table.txnId] }),
    index("received_transactions_by_age").on(table.answeredMs),
  ],
);

/**
 * Other servers that are owed what happens here, and how far each has come. What they are owed is not
 * stored: it is what is after `takenUpTo` in the streams and concerns them. A server without a row is owed
 * nothing up to where the follower `federation` is, and nor is one whose row says that it has taken all.
 *
 * A row goes when its server has taken all and shares no room with us (`forget-destinations`). All times are of the database's clock.
 */
export const destinations = pgTable("destinations", {
  serverName: text("server_name").$type<ServerName>().primaryKey(),
  /** It has taken everything that it is owed up to this position. */
  takenUpTo: number("taken_up_to").notNull(),
  /** The position of the newest thing that it is owed, as far as the follower has come. */
  owedUpTo: number("owed_up_to").notNull(),
  /** The process that sends to it. Null if none does. */
  holder: text("holder"),
  /** Until when it is that process's, should it die. */
  leasedUntilMs: number("leased_until_ms").notNull().default(0),
  /** Failures in a row. The wait after each is made from this. */
  failures: integer("failures").notNull().default(0),
  /** When it is tried again, after a failure. */
  retryAtMs: number("retry_at_ms").notNull().default(0),
  /** Since when it has not answered. Null if it has. */
  failingSinceMs: number("failing_since_ms"),
});
