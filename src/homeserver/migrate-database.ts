import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import { openDatabase } from "./open-database.ts";

const MIGRATIONS = fileURLToPath(new URL("../../schema/migrations", import.meta.url));

/** Any number that nothing else in the database locks: all processes that migrate take this one. */
const MIGRATION_LOCK = 7_305_808_190;

/**
 * Brings a database to the schema of this version. Several processes may do so at once: one does it, the
 * others wait. When there is nothing to do it costs one query.
 *
 * @throws Error when the database is newer than this program.
 */
export async function migrateDatabase(url: string): Promise<void> {
  const newest = newestMigration();
  if (newest === undefined) return;
  const sql = openDatabase(url, { max: 1, onnotice: () => undefined });
  try {
    if ((await latestApplied(sql)) === newest) return;
    await sql`select pg_advisory_lock(${MIGRATION_LOCK})`;
    const applied = await latestApplied(sql);
    if (applied !== undefined && applied > newest) {
      throw new Error(
        "The database was used by a newer version of Archipel than this one, which cannot read it: " +
          "start the newer version, or restore a backup from before.",
      );
    }
    await migrate(drizzle(sql), { migrationsFolder: MIGRATIONS });
  } finally {
    await sql.end();
  }
}

/** When the newest migration that we know of was made: Drizzle's order, in milliseconds since the epoch. */
function newestMigration(): number | undefined {
  const journal = `${MIGRATIONS}/meta/_journal.json`;
  if (!existsSync(journal)) return undefined;
  const { entries }: { entries: { when: number }[] } = JSON.parse(readFileSync(journal, "utf8"));
  return entries.at(-1)?.when;
}

async function latestApplied(sql: ReturnType<typeof openDatabase>): Promise<number | undefined> {
  const [table] = await sql`select to_regclass('drizzle.__drizzle_migrations') as name`;
  if (table?.["name"] === null) return undefined;
  const [row] = await sql`select max(created_at) as latest from drizzle.__drizzle_migrations`;
  return row?.["latest"] === null ? undefined : Number(row?.["latest"]);
}
