import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { onDatabase, testDatabase } from "#src/testing-database.ts";

const PROGRAM = fileURLToPath(new URL("apply-migrations.ts", import.meta.url));
const MIGRATIONS = fileURLToPath(new URL("../../schema/migrations", import.meta.url));

const database = await testDatabase();
const name = `empty_${randomUUID().replaceAll("-", "")}`;
await database.sql`create database ${database.sql(name)} template template0`;
afterAll(async () => {
  await database.sql`drop database ${database.sql(name)} with (force)`;
  await database.drop();
});

test("two that are at it at once, as after a kill, do it once", async () => {
  const env = {
    ...process.env,
    ARCHIPEL_MIGRATE_DATABASE: onDatabase(database.url, name),
    ARCHIPEL_MIGRATE_FOLDER: MIGRATIONS,
  };
  const apply = async () => await promisify(execFile)(process.execPath, [PROGRAM], { env });
  await expect(Promise.all([apply(), apply()])).resolves.toHaveLength(2);
});
