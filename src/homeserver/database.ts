import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import postgres from "postgres";
import { ARRAY_TYPES } from "./array-types.ts";
import { driverAddress } from "./database-url.ts";
import { type Lane, type LaneOptions, openLane } from "./lane.ts";
import { resilientSql } from "./resilient-sql.ts";
import { isSchemaCurrent } from "./schema-version.ts";
import type { Sql } from "./sql.ts";

export type { Queryable, Sql, Tx } from "./sql.ts";

export type Database = {
  /** The pool. */
  readonly sql: Sql;
  /** One connection apart from the pool, for grouped writes. */
  readonly lane: Lane;
  readonly url: string;
  close(): Promise<void>;
};

/** PostgreSQL's `bigint` as a number: keys and positions stay far below 2⁵³. */
const INT8 = {
  to: 20,
  from: [20],
  serialize: (value: number) => String(value),
  parse: (value: string) => Number(value),
};

export type DatabaseOptions = {
  /** `postgres://…`; with `?host=` for a unix socket. */
  readonly url: string;
  /** Connections of the pool; the lane and the bus have one each besides. */
  readonly maxConnections: number;
};

/** Opens a database. Connects when it is first asked something. */
export function openDatabase({ url, maxConnections }: DatabaseOptions): Database {
  const sql = connect(url, maxConnections);
  const lane = openLane(url, (options) => open(url, options));
  return {
    sql,
    lane,
    url,
    async close() {
      await Promise.all([sql.end({ timeout: 5 }), lane.end()]);
    },
  };
}

/** Connections with our types: for the pool and the bus. */
export function connect(url: string, max: number): Sql {
  return resilientSql((onclose) => open(url, { max, onclose }));
}

/** How long a connection that could not be made waits before it is tried again. */
const RECONNECT_SECONDS = 0.1;

/** How long a transaction may have nothing said in it: far longer than any of ours takes. */
const STANDSTILL_MS = 30_000;

type PoolOptions = { readonly max: number; readonly onclose: () => void };

function open(url: string, options: PoolOptions | LaneOptions): Sql {
  const address = driverAddress(url);
  return postgres(address.url, {
    ...(address.host !== undefined && { host: address.host }),
    ...options,
    types: { int8: INT8, ...ARRAY_TYPES } as { int8: typeof INT8 },
    fetch_types: false,
    onnotice: () => {},
    // A connection is kept until it is lost: an end by age would look like a loss.
    max_lifetime: null,
    // The driver would wait up to 20 s, with statements in its queue, for a database that may be back by then.
    backoff: () => RECONNECT_SECONDS,
    connection: {
      application_name: "archipel",
      // A process that stands still, or whose machine has died, holds what all others wait for: they can go on then.
      idle_in_transaction_session_timeout: STANDSTILL_MS,
      // Arrays of unknown length make PostgreSQL plan anew each time, for plans that come out the same.
      plan_cache_mode: "force_generic_plan",
      // Such a plan is made once, often while a table is small, and kept while it grows. What is asked here has
      // an index and few rows by it; so plans are by index, also where a small table would be read whole.
      enable_seqscan: "off",
      enable_hashjoin: "off",
      enable_mergejoin: "off",
      // Before version 18, a plan that reads a table whole all the same counts as so costly that it would be compiled,
      // for 80 ms each time.
      jit: "off",
    },
  });
}

/**
 * Brings a database's tables to what this program needs. Safe to run by several processes at once,
 * and quick when there is nothing to do.
 */
export async function migrateDatabase(url: string): Promise<void> {
  const sql = connect(url, 1);
  try {
    // One at a time: two processes that start together must not both run the first migration.
    await sql`select pg_advisory_lock(${MIGRATION_LOCK})`;
    if (!(await isSchemaCurrent(sql, MIGRATIONS))) await applyMigrations(url);
    await sql`insert into positions (id, position) values (1, 0) on conflict do nothing`;
    await setTables(sql);
  } finally {
    await sql.end();
  }
}

/**
 * Sets how tables are kept, where it is not so yet: to set it waits for whoever uses the table, and those who come after
 * that wait as well. A backup that is being taken would stop every process.
 */
async function setTables(sql: Sql): Promise<void> {
  const all = await sql<{ table: string; hasRoom: boolean; isUnlogged: boolean }[]>`
    select name as table, relpersistence = 'u' as "isUnlogged",
      coalesce('fillfactor=70' = any(reloptions), false) as "hasRoom"
    from unnest(${[...UPDATED_IN_PLACE, ...OF_THE_MOMENT]}::text[]) as name
      join pg_class on pg_class.oid = to_regclass(name)`;
  for (const { table, hasRoom, isUnlogged } of all) {
    if (UPDATED_IN_PLACE.includes(table) && !hasRoom) {
      await sql`alter table ${sql(table)} set (fillfactor = 70)`;
    }
    // Of no worth after a crash, and written often.
    if (OF_THE_MOMENT.includes(table) && !isUnlogged) {
      await sql`alter table ${sql(table)} set unlogged`;
    }
  }
}

/** @throws Error with what the program that applies them has said. */
async function applyMigrations(url: string): Promise<void> {
  const program = fileURLToPath(new URL("apply-migrations.ts", import.meta.url));
  const env = {
    ...process.env,
    ARCHIPEL_MIGRATE_DATABASE: url,
    ARCHIPEL_MIGRATE_FOLDER: MIGRATIONS,
  };
  await promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    env,
  });
}

const MIGRATIONS = fileURLToPath(new URL("../../schema/migrations", import.meta.url));

/** Tables that only say how things are at the moment. */
const OF_THE_MOMENT = ["typing", "presence", "presence_syncs"];

const MIGRATION_LOCK = 7_264_826;

/** Tables whose rows are updated often: room on the page lets an update leave the indexes alone. */
const UPDATED_IN_PLACE = [
  "positions",
  "rooms",
  "stream_followers",
  "account_data",
  "devices",
  "key_backups",
  "receipts",
  "room_reads",
];
