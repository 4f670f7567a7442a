import { connect, type Sql } from "#src/homeserver/database.ts";
import { parentOf } from "./process-tree.ts";

/** The PostgreSQL that every server of a run uses. */
export type BenchPostgres = {
  /** A URL of its maintenance database, with the right to make others. */
  readonly url: string;
  /** The first process of the server: all others are its children. */
  readonly postmaster: number;
  readonly admin: Sql;
  /** What durability and memory it runs with, for the record of the run. */
  readonly settings: Readonly<Record<string, string>>;
};

const TOLD_SETTINGS = [
  "server_version",
  "fsync",
  "synchronous_commit",
  "full_page_writes",
  "wal_compression",
  "shared_buffers",
  "max_connections",
  "autovacuum",
];

/**
 * Opens the PostgreSQL of a run and finds its processes.
 *
 * @throws Error when it is on another machine, or gives answers before the disk has them: then its CPU time could
 *   not be counted, or its figures would not count.
 */
export async function openBenchPostgres(url: string): Promise<BenchPostgres> {
  const admin = connect(url, 1);
  const [backend] = await admin`select pg_backend_pid() as pid`;
  const rows = await admin`
    select name, current_setting(name) as setting from pg_settings where name = any(${TOLD_SETTINGS})`;
  const settings = Object.fromEntries(
    rows.map((row) => [String(row["name"]), String(row["setting"])]),
  );
  for (const name of ["fsync", "synchronous_commit"]) {
    if (settings[name] !== "on") throw new Error(`The PostgreSQL of a bench must have ${name} on.`);
  }
  return { url, admin, settings, postmaster: parentOf(Number(backend?.["pid"])) };
}

/** How many bytes of log PostgreSQL has written, all databases together. */
export async function walBytes({ admin }: BenchPostgres): Promise<number> {
  const [row] = await admin`select pg_current_wal_lsn() - '0/0'::pg_lsn as bytes`;
  return Number(row?.["bytes"]);
}

/** How large a database is once what is dead in it has been cleared away. */
export async function vacuumedBytes(postgres: BenchPostgres, database: string): Promise<number> {
  const sql = connect(onDatabase(postgres.url, database), 1);
  try {
    await sql`vacuum (analyze)`;
    const [row] = await sql`select pg_database_size(current_database()) as bytes`;
    return Number(row?.["bytes"]);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** The tables in which servers have messages to devices. */
const MESSAGE_TABLES = ["to_device", "device_inbox"];

/** How many messages to devices a database has, whatever server has them there. */
export async function waitingMessages(postgres: BenchPostgres, database: string): Promise<number> {
  const sql = connect(onDatabase(postgres.url, database), 1);
  try {
    const [table] = await sql`
      select relname as name from pg_class where relkind = 'r' and relname::text = any(${MESSAGE_TABLES})`;
    const [row] = await sql`select count(*) from ${sql(String(table?.["name"]))}`;
    return Number(row?.["count"]);
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** Makes an empty database with the collation that both sides accept. */
export async function createDatabase(postgres: BenchPostgres, name: string): Promise<string> {
  const { admin } = postgres;
  await admin`create database ${admin(name)}
    encoding 'UTF8' locale_provider libc lc_collate 'C' lc_ctype 'C' template template0`;
  return onDatabase(postgres.url, name);
}

/** Removes a database, whoever is connected to it. */
export async function dropDatabase({ admin }: BenchPostgres, name: string): Promise<void> {
  await admin`drop database if exists ${admin(name)} with (force)`;
}

function onDatabase(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}
