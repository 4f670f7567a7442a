import { afterAll, expect, test } from "vitest";
import { testDatabase } from "#src/testing-database.ts";
import { migrateDatabase } from "./database.ts";

const database = await testDatabase();
afterAll(async () => await database.drop());

test("a database of this version may be opened again and again", async () => {
  await migrateDatabase(database.url);
  await expect(migrateDatabase(database.url)).resolves.toBeUndefined();
});

test("a database is opened while a backup of it is being taken", async () => {
  await database.sql.begin(async (backup) => {
    await backup`lock table presence, typing, rooms, positions in access share mode`;
    await expect(migrateDatabase(database.url)).resolves.toBeUndefined();
  });
});

test("a database that a newer version has changed is refused", async () => {
  await database.sql`update drizzle.__drizzle_migrations set created_at = created_at + 100000000`;
  await expect(migrateDatabase(database.url)).rejects.toThrow(/newer version/);
});
