import pino from "pino";
import { afterAll, expect, test } from "vitest";
import { loadConfig } from "#src/config/load-config.ts";
import { processesAlive, processesBefore } from "#src/streams/presence.ts";
import { testDatabase } from "#src/testing-database.ts";
import { openHomeserver, type OpenHomeserver } from "./open-homeserver.ts";

const database = await testDatabase();
const opened: OpenHomeserver[] = [];
afterAll(async () => {
  for (const it of opened) await it.close();
  await database.drop();
});

async function open(): Promise<OpenHomeserver> {
  const variables = { ARCHIPEL_SERVER_NAME: "test", ARCHIPEL_DATABASE_URL: database.url };
  const options = { databaseUrl: database.url, log: pino({ level: "silent" }) };
  const one = await openHomeserver(loadConfig(variables, []), options);
  opened.push(one);
  return one;
}

async function leftOn({ hs: { sql } }: OpenHomeserver) {
  return [
    ...(await sql`select holder, leased_until_ms::float8 as until from destinations`),
    ...(await sql`select holder, leased_until_ms::float8 as until from jobs`),
    ...(await sql`select holder, until_ms::float8 as until from room_entries`),
  ];
}

test("what a process had that was killed the next one goes on with at once, unless others are there who may have it", async () => {
  const { sql } = (await open()).hs;
  await sql`
    insert into destinations (server_name, taken_up_to, owed_up_to, holder, leased_until_ms)
    values ('one.test', 0, 1, 'dead', 9e15)`;
  await sql`insert into jobs (name, holder, leased_until_ms) values ('count', 'dead', 9e15)`;
  await sql`insert into room_entries (room_id, holder, until_ms) values ('!a', 'dead', 9e15)`;
  await sql`insert into processes (process_id, seen_at) values ('dead', now())`;
  const kept = { holder: "dead", until: 9e15 };
  const second = await open();
  expect(await leftOn(second)).toEqual([kept, kept, kept]);
  expect(processesBefore(second.hs)).toContain("dead");
  for (const it of opened.splice(0)) await it.close();

  const ended = { holder: null, until: 0 };
  const alone = await open();
  expect(await leftOn(alone)).toEqual([ended, ended]);
  expect([processesAlive(alone.hs), processesBefore(alone.hs)]).toEqual([1, []]);
});
