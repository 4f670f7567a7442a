import { bigint, customType, pgTable, text } from "drizzle-orm/pg-core";
import type { KeyId } from "#src/kit/signed-json.ts";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });

/**
 * The keys this server signs with, so that every process on this database signs as the same server.
 *
 * Rows stay: what was signed with an old key must be verifiable for ever.
 */
export const signingKeys = pgTable("signing_keys", {
  keyId: text("key_id").$type<KeyId>().primaryKey(),
  /** The 32 bytes that the key is made from. A secret. */
  seed: bytea("seed").notNull(),
  createdMs: bigint("created_ms", { mode: "number" }).notNull(),
  /** When it was replaced. Null for the key in use. */
  expiredMs: bigint("expired_ms", { mode: "number" }),
});
