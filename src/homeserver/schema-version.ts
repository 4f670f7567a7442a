import { readFileSync } from "node:fs";
import type { Sql } from "postgres";
import { z } from "zod";

const Journal = z.object({ entries: z.array(z.object({ when: z.number() })) });

/**
 * Whether a database has every table as this program needs it.
 *
 * @param migrationsFolder the migrations that this program has
 * @throws Error that says what to do if a newer version has changed it: this one does not know its tables.
 */
export async function isSchemaCurrent(
  sql: Sql<{ int8: number }>,
  migrationsFolder: string,
): Promise<boolean> {
  const [there] = await sql`select to_regclass('drizzle.__drizzle_migrations') is not null as yes`;
  if (there?.["yes"] !== true) return false;
  const [row] = await sql`select max(created_at) as latest from drizzle.__drizzle_migrations`;
  const journal = readFileSync(`${migrationsFolder}/meta/_journal.json`, "utf8");
  const newestKnown = Journal.parse(JSON.parse(journal)).entries.at(-1)?.when ?? 0;
  const latest = Number(row?.["latest"] ?? 0);
  if (latest <= newestKnown) return latest === newestKnown;
  throw new Error(
    "The database has been used by a newer version of Archipel, whose tables this one does not know: " +
      "start the newer version, or restore a backup from before it.",
  );
}
