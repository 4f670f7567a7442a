import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Sql } from "postgres";
import { z } from "zod";

const Journal = z.object({ entries: z.array(z.object({ when: z.number() })) });

/** The migrations that this program has. */
export const MIGRATIONS = fileURLToPath(new URL("../../schema/migrations", import.meta.url));

/**
 * What this program's tables are known by: when its newest migration was made. Read as the program is: an update may put other files
 * in its place while it runs.
 */
export const OWN_SCHEMA = newestOf(MIGRATIONS);

/** A newer version has changed the tables: this one does not know them, and must not write any more. */
export class NewerSchemaError extends Error {
  constructor() {
    super(
      "The database has been used by a newer version of Archipel, whose tables this one does not know: " +
        "start the newer version, or restore a backup from before it.",
    );
  }
}

/**
 * Whether a database has every table as this program needs it.
 *
 * @param migrationsFolder the migrations that this program has
 * @throws NewerSchemaError
 */
export async function isSchemaCurrent(
  sql: Sql<{ int8: number }>,
  migrationsFolder: string,
): Promise<boolean> {
  const [there] = await sql`select to_regclass('drizzle.__drizzle_migrations') is not null as yes`;
  if (there?.["yes"] !== true) return false;
  const [row] = await sql`select max(created_at) as latest from drizzle.__drizzle_migrations`;
  const newestKnown = newestOf(migrationsFolder);
  const latest = Number(row?.["latest"] ?? 0);
  if (latest <= newestKnown) return latest === newestKnown;
  throw new NewerSchemaError();
}

function newestOf(migrationsFolder: string): number {
  const journal = readFileSync(`${migrationsFolder}/meta/_journal.json`, "utf8");
  return Journal.parse(JSON.parse(journal)).entries.at(-1)?.when ?? 0;
}
