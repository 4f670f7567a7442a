import { randomUUID } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { onDatabase, testDatabase } from "#src/testing-database.ts";
import { testDirectory } from "#src/testing-directory.ts";
import { connect } from "./database.ts";
import { type MigrateOptions, migrateDatabase } from "./migrate-database.ts";

const MIGRATIONS = fileURLToPath(new URL("../../schema/migrations", import.meta.url));

const database = await testDatabase();
afterAll(async () => await database.drop());

async function migrate(url: string, options: Partial<MigrateOptions> = {}): Promise<void> {
  const { signal } = new AbortController();
  const log = pino({ level: "silent" });
  await migrateDatabase(url, { isShared: true, log, signal, ...options });
}

test("a database of this version may be opened again and again", async () => {
  await migrate(database.url);
  await expect(migrate(database.url)).resolves.toBeUndefined();
});

test("a database is opened while a backup of it is being taken", async () => {
  await database.sql.begin(async (backup) => {
    await backup`lock table presence, typing, rooms, positions in access share mode`;
    await expect(migrate(database.url)).resolves.toBeUndefined();
  });
});

describe("a database of the version before", () => {
  const template = `older_${randomUUID().replaceAll("-", "")}`;
  const made: string[] = [];
  beforeAll(async () => {
    await migrate(await make(template, "template0"), { migrations: migrationsBefore() });
  });
  afterAll(async () => {
    for (const it of made) await database.sql`drop database ${database.sql(it)} with (force)`;
  });
  const make = async (name: string, from: string) => {
    made.push(name);
    await database.sql`create database ${database.sql(name)} template ${database.sql(from)} strategy file_copy`;
    return onDatabase(database.url, name);
  };
  /** One that a process of that version has been seen on just now. */
  const inUse = async () => {
    const url = await make(`${template}_${made.length}`, template);
    const sql = connect(url, 1);
    await sql`insert into processes (process_id, seen_at) values ('older', now())`;
    return { url, sql };
  };

  test("is left as it is until nobody is on it", async () => {
    const { url, sql } = await inUse();
    const count = async () => (await sql`select from drizzle.__drizzle_migrations`).length;
    const before = await count();
    const said: string[] = [];
    const log = pino({}, { write: (line) => void said.push(line) });
    const upToDate = migrate(url, { log });
    await expect.poll(() => said.join("")).toContain('"processes":1');
    await sleep(500);
    expect(await count()).toBe(before);
    await sql`delete from processes`;
    await upToDate;
    expect(await count()).toBe(before + 1);
    await sql.end();
  });

  test("is left as it is also while a process of that version starts that had looked at it before", async () => {
    const { url, sql } = await inUse();
    const migrated = async () => (await sql`select from drizzle.__drizzle_migrations`).length;
    const before = await migrated();
    await sql`delete from processes`;
    const upToDate = migrate(url);
    const isLocked = async () =>
      (
        await sql`select from pg_locks where locktype = 'advisory' and database = (
        select oid from pg_database where datname = current_database())`
      ).length > 0;
    await expect.poll(isLocked).toBe(true);
    await sleep(500);
    await sql`insert into processes (process_id, seen_at) values ('starting', now())`;
    await sleep(2_500);
    expect(await migrated()).toBe(before);
    await sql`delete from processes`;
    await upToDate;
    expect(await migrated()).toBe(before + 1);
    await sql.end();
  });

  test("keeps nobody who is told to stop", async () => {
    const { url, sql } = await inUse();
    const stopping = new AbortController();
    const { signal } = stopping;
    // One waits until nobody is on it, the other for the one.
    const waiting = Promise.allSettled([migrate(url, { signal }), migrate(url, { signal })]);
    setTimeout(() => stopping.abort(), 500);
    const [one, other] = await waiting;
    expect([one.status, other.status]).toEqual(["rejected", "rejected"]);
    await sql.end();
  });

  test("is brought up to date at once if nobody else can be on it", async () => {
    const { url, sql } = await inUse();
    await expect(migrate(url, { isShared: false })).resolves.toBeUndefined();
    await sql.end();
  });
});

test("a database that a newer version has changed is refused", async () => {
  await database.sql`update drizzle.__drizzle_migrations set created_at = created_at + 100000000`;
  await expect(migrate(database.url)).rejects.toThrow(/newer version/);
});

const Journal = z.looseObject({ entries: z.array(z.unknown()) });

/** All migrations but the last. */
function migrationsBefore(): string {
  const folder = join(testDirectory(), "migrations");
  cpSync(MIGRATIONS, folder, { recursive: true });
  const file = join(folder, "meta", "_journal.json");
  const journal = Journal.parse(JSON.parse(readFileSync(file, "utf8")));
  writeFileSync(file, JSON.stringify({ ...journal, entries: journal.entries.slice(0, -1) }));
  return folder;
}
