import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { driverAddress } from "./database-url.ts";
import { resilientSql } from "./resilient-sql.ts";
import { refuseNewerSchema } from "./schema-version.ts";

/** The pool, or a transaction on one of its connections. Queries are written on it as templates. */
export type Sql = postgres.Sql<{ int8: number }>;

/** A transaction. What writes takes this, so that no write can happen outside one. */
export type Tx = postgres.TransactionSql<{ int8: number }>;

/** Whatever can be asked: the pool or a transaction. What only reads takes this. */
export type Queryable = Sql | Tx;

export type Database = {
  /** The pool. */
  readonly sql: Sql;
  /** One connection apart from the pool, on which statements go out in the order they are made. */
  readonly lane: Sql;
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
  const lane = connect(url, 1);
  return {
    sql,
    lane,
    url,
    async close() {
      await Promise.all([sql.end({ timeout: 5 }), lane.end({ timeout: 5 })]);
    },
  };
}

/** Connections with our types: for the pool, the lane, and the bus. */
export function connect(url: string, max: number): Sql {
  const { url: address, ...socket } = driverAddress(url);
  return resilientSql((onclose) =>
    postgres(address, {
      ...socket,
      max,
      types: { int8: INT8 },
      onnotice: () => {},
      onclose,
      // A connection is kept until it is lost: an end by age would look like a loss.
      max_lifetime: null,
      connection: { application_name: "archipel" },
    }),
  );
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
    await refuseNewerSchema(sql, MIGRATIONS);
    await migrate(drizzle(sql), { migrationsFolder: MIGRATIONS });
    await sql`insert into positions (id, position) values (1, 0) on conflict do nothing`;
    for (const table of UPDATED_IN_PLACE) {
      await sql`alter table ${sql(table)} set (fillfactor = 70)`;
    }
    // Of no worth after a crash, and written often. Nothing happens where it is so already.
    await sql`alter table typing set unlogged`;
  } finally {
    await sql.end();
  }
}

const MIGRATIONS = fileURLToPath(new URL("../../schema/migrations", import.meta.url));

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
