import { drizzle } from "drizzle-orm/postgres-js";
import { migrate } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { driverAddress } from "./database-url.ts";

// A program of its own: what it loads takes a quarter of a gigabyte, which the server would never give back.
// The database and the folder of migrations are named by its environment.
const { ARCHIPEL_MIGRATE_DATABASE: database = "", ARCHIPEL_MIGRATE_FOLDER: migrationsFolder = "" } =
  process.env;
const { url, ...socket } = driverAddress(database);
/** Not that of who has started us: they hold theirs until we are done. */
const LOCK = 7_264_827;

const sql = postgres(url, { ...socket, max: 1, onnotice: () => {} });
try {
  // If who has started us is killed we go on, and whoever comes next starts another: that one waits, and finds it done.
  await sql`select pg_advisory_lock(${LOCK})`;
  await migrate(drizzle(sql), { migrationsFolder });
} finally {
  await sql.end();
}
