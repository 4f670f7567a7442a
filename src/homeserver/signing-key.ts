import { randomBytes } from "node:crypto";
import type { Logger } from "pino";
import { type KeyId, type SigningKey, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import type { Sql, Tx } from "./database.ts";
import type { UnixMs } from "./position.ts";

/** How often a process looks whether another key is in use. */
const LOOK_EVERY_MS = 60_000;

/**
 * How long a key that is replaced is still valid: until every process has seen that there is a new
 * one, and what it signed meanwhile has long arrived.
 */
const OVERLAP_MS = 10 * LOOK_EVERY_MS;

/** The key in use, and the next as soon as it is. */
export type OpenSigningKey = {
  current(): SigningKey;
  /** Stops looking for the next. */
  close(): void;
};

/** The key that this server signs with; made when the database has none. */
export async function openSigningKey(
  sql: Sql,
  now: () => UnixMs,
  { log, everyMs = LOOK_EVERY_MS }: { readonly log: Logger; readonly everyMs?: number },
): Promise<OpenSigningKey> {
  const first = (await readKey(sql)) ?? (await makeFirstKey(sql, now()));
  let current = signingKeyFromSeed(first.key_id, first.seed);
  const look = async () => {
    const row = await readKey(sql);
    if (row && row.key_id !== current.keyId) current = signingKeyFromSeed(row.key_id, row.seed);
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => log.warn({ err: error }, "the signing key cannot be read"));
  }, everyMs);
  timer.unref();
  return { current: () => current, close: () => clearInterval(timer) };
}

/**
 * Makes a new key, with which all processes sign within a minute. The old one is valid for some
 * minutes more, and published for ever as one that was.
 *
 * @returns the new key's ID.
 * @spec server-server-api#publishing-keys
 */
export async function rotateSigningKey(sql: Sql, now: UnixMs): Promise<KeyId> {
  return await sql.begin(async (tx) => {
    // One rotation at a time, so that there is one key in use.
    await tx`lock table signing_keys in share row exclusive mode`;
    await tx`update signing_keys set expired_ms = ${now + OVERLAP_MS} where expired_ms is null`;
    return await insertKey(tx, now);
  });
}

type Row = { key_id: KeyId; seed: Uint8Array };

async function makeFirstKey(sql: Sql, now: UnixMs): Promise<Row> {
  return await sql.begin(async (tx) => {
    // Of several processes that start at once on an empty database, one makes the key.
    await tx`lock table signing_keys in share row exclusive mode`;
    if (!(await readKey(tx))) await insertKey(tx, now);
    const made = await readKey(tx);
    if (!made) throw new Error("the signing key that was made is not there");
    return made;
  });
}

async function insertKey(tx: Tx, now: UnixMs): Promise<KeyId> {
  const keyId: KeyId = `ed25519:${randomBytes(4).toString("hex")}`;
  await tx`
    insert into signing_keys (key_id, seed, created_ms) values (${keyId}, ${randomBytes(32)}, ${now})`;
  return keyId;
}

async function readKey(sql: Sql | Tx): Promise<Row | undefined> {
  const [row] = await sql<Row[]>`
    select key_id, seed from signing_keys where expired_ms is null order by created_ms desc limit 1`;
  return row;
}
