import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Logger } from "pino";
import { countAlive } from "./count-alive.ts";
import { connect, type Sql } from "./database.ts";
import { isSchemaCurrent, MIGRATIONS } from "./schema-version.ts";

export type MigrateOptions = {
  /** Whether others can be on the database. */
  readonly isShared: boolean;
  readonly log: Logger;
  /** Ends the wait for others. */
  readonly signal: AbortSignal;
  /** The migrations that bring a database to what is needed; others in tests. */
  readonly migrations?: string;
};

/**
 * Brings a database's tables to what this program needs. Safe to run by several processes at once,
 * and quick when there is nothing to do. Where there is, it first waits until no process is on the database any more:
 * those that are have an older version, and would go on writing as the tables were.
 *
 * @throws what `signal` was aborted with.
 */
export async function migrateDatabase(url: string, options: MigrateOptions): Promise<void> {
  const { isShared, signal, migrations = MIGRATIONS } = options;
  const sql = connect(url, 1);
  try {
    // One at a time: two processes that start together must not both run the first migration.
    while (!(await takesLock(sql))) await sleep(LOOK_EVERY_MS, undefined, { signal });
    if (!(await isSchemaCurrent(sql, migrations))) {
      if (isShared) await untilAlone(sql, options);
      await applyMigrations(url, migrations);
    }
    await sql`insert into positions (id, position) values (1, 0) on conflict do nothing`;
    await setTables(sql);
  } finally {
    await sql.end();
  }
}

async function takesLock(sql: Sql): Promise<boolean> {
  const [row] = await sql`select pg_try_advisory_lock(${MIGRATION_LOCK}) as yes`;
  return row?.["yes"] === true;
}

/**
 * Waits until all others are gone. Nobody comes meanwhile, as we hold the lock, but whoever has looked at the tables before us and has not
 * said yet that they are there: so nobody is to be seen for a while.
 */
async function untilAlone(sql: Sql, { log, signal }: MigrateOptions): Promise<void> {
  const [there] = await sql`select to_regclass('processes') is not null as yes`;
  if (there?.["yes"] !== true) return;
  let aloneMs = 0;
  let tellAtMs = 0;
  for (let waitedMs = 0; aloneMs < STARTING_MS; waitedMs += LOOK_EVERY_MS) {
    const processes = await countAlive(sql);
    if (processes > 0 && waitedMs >= tellAtMs) {
      tellAtMs = waitedMs + TELL_EVERY_MS;
      log.warn(
        { processes },
        "tables have to change: waiting until the processes of the older version have stopped; one that was killed counts for a minute",
      );
    }
    aloneMs = processes === 0 ? aloneMs + LOOK_EVERY_MS : 0;
    await sleep(LOOK_EVERY_MS, undefined, { signal });
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
async function applyMigrations(url: string, migrations: string): Promise<void> {
  const program = fileURLToPath(new URL("apply-migrations.ts", import.meta.url));
  const env = {
    ...process.env,
    ARCHIPEL_MIGRATE_DATABASE: url,
    ARCHIPEL_MIGRATE_FOLDER: migrations,
  };
  await promisify(execFile)(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
    env,
  });
}

/** Tables that only say how things are at the moment. */
const OF_THE_MOMENT = ["typing", "presence", "presence_syncs"];

const MIGRATION_LOCK = 7_264_826;

const LOOK_EVERY_MS = 250;

/** How long it takes a process that has looked at the tables, and found them well, to say that it is there. */
const STARTING_MS = 2_000;
const TELL_EVERY_MS = 30_000;

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
