import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "#src/testing-database.ts";
import { awaitDatabase } from "./await-database.ts";
import { type DatabaseGate, databaseGate } from "./testing.ts";

const waiting = { log: pino({ level: "silent" }), signal: new AbortController().signal };
let database: TestDatabase;
let gate: DatabaseGate;

beforeAll(async () => {
  database = await testDatabase();
  gate = await databaseGate(database.url);
});
afterAll(async () => {
  await gate.close();
  await database.drop();
});

describe("waiting for a database", () => {
  test("ends when it answers", async () => {
    let isThere = false;
    const opened = sleep(500).then(async () => {
      await gate.open();
      isThere = true;
    });
    await awaitDatabase(gate.url, waiting);
    expect(isThere).toBe(true);
    await opened;
  });

  test("ends with its refusal when the time is up, or at once if time cannot mend it", async () => {
    await gate.close();
    await expect(awaitDatabase(gate.url, { ...waiting, patienceMs: 300 })).rejects.toMatchObject({
      code: "ECONNREFUSED",
    });
    await gate.open();
    const url = new URL(gate.url);
    url.pathname = "/there_is_no_such_database";
    const begun = performance.now();
    await expect(awaitDatabase(url.href, waiting)).rejects.toMatchObject({ code: "3D000" });
    expect(performance.now() - begun).toBeLessThan(5_000);
  });

  test("goes on while all connections that one may have are taken", async () => {
    const role = `crowd_${randomUUID().replaceAll("-", "")}`;
    const { sql } = database;
    await sql.unsafe(`create role ${role} login password 'crowd' connection limit 0`);
    try {
      const url = new URL(database.url);
      url.username = role;
      url.password = "crowd";
      let isFree = false;
      const freed = sleep(500).then(async () => {
        isFree = true;
        await sql.unsafe(`alter role ${role} connection limit 2`);
      });
      await awaitDatabase(url.href, waiting);
      expect(isFree).toBe(true);
      await freed;
    } finally {
      await sql.unsafe(`drop role ${role}`);
    }
  });

  test("ends when it is told to", async () => {
    await gate.close();
    const stopping = new AbortController();
    const waited = awaitDatabase(gate.url, { ...waiting, signal: stopping.signal });
    stopping.abort();
    await expect(waited).rejects.toMatchObject({ name: "AbortError" });
  });
});
