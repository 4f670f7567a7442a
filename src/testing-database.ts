import { randomUUID } from "node:crypto";
import { connect, type Sql } from "#src/homeserver/database.ts";

/** Set by `spec-tests/global-setup.ts` for every test: the server, and the database to copy. */
const SERVER = "ARCHIPEL_TEST_SERVER";
const TEMPLATE = "ARCHIPEL_TEST_TEMPLATE";

/** A database that one test file has for itself. */
export type TestDatabase = {
  readonly sql: Sql;
  readonly url: string;
  /** Closes `sql` and removes the database, whoever else is connected to it. */
  drop(): Promise<void>;
};

/**
 * A database of its own for a test file, with every migration run. The real PostgreSQL, never a mock. Other
 * processes of the test connect by its `url`.
 */
export async function testDatabase(): Promise<TestDatabase> {
  const server = process.env[SERVER];
  const template = process.env[TEMPLATE];
  if (server === undefined || template === undefined) {
    throw new Error("There is no database server for tests: run them with vitest.");
  }
  const name = `test_${randomUUID().replaceAll("-", "")}`;
  const admin = connect(server, 1);
  // As files: to write each page to the log takes ten times as long.
  await admin`create database ${admin(name)} template ${admin(template)} strategy file_copy`;
  const url = onDatabase(server, name);
  const sql = connect(url, 4);
  return {
    sql,
    url,
    async drop() {
      await sql.end({ timeout: 1 });
      await admin`drop database ${admin(name)} with (force)`;
      await admin.end();
    },
  };
}

/** The same server, another database. */
export function onDatabase(server: string, name: string): string {
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}
