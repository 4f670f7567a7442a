import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { runOutbound } from "./run-outbound.ts";
import { QUICK } from "./testing.ts";

let servers: TestHomeservers;

beforeAll(async () => void (servers = await testHomeservers()));
afterAll(async () => await servers.close());

test("very many that take their time have neither others wait nor the database be asked without end", async () => {
  const { sql } = servers.hs;
  const { userKey } = await testUser(servers.hs, "alice");
  const last = "z.test" as ServerName;
  await sql`
    with names as (
      select 's' || number || '.test' as name from generate_series(1, 300) as number
      union all select ${last}
    ), messages as (
      insert into remote_to_device (server_name, position, part, sender_key, user_id, device_id, type, content)
      select name, 1, 0, ${userKey}, '@a:' || name, '*', 'm.x', '{}' from names
    )
    insert into destinations (server_name, taken_up_to, owed_up_to) select name, 0, 1 from names`;
  const stopping = new AbortController();
  const asked = new Set<ServerName>();
  let queries = 0;
  const hs: Homeserver = {
    ...servers.hs,
    stopping: stopping.signal,
    sql: new Proxy(sql, {
      apply(target, self, args) {
        queries++;
        return Reflect.apply(target, self, args) as unknown;
      },
    }),
    remotes: {
      ...servers.hs.remotes,
      async sendTransaction(server, _transaction, options) {
        asked.add(server);
        await sleep(60_000, undefined, { signal: stopping.signal }).catch(() => {});
        return { ok: false, why: "unreachable", cause: options };
      },
    },
  };
  const running = runOutbound(hs, { ...QUICK, slowMs: 10 });
  await expect.poll(() => asked.has(last), { timeout: 20_000 }).toBe(true);
  await expect.poll(() => asked.size, { timeout: 20_000 }).toBe(301);
  const before = queries;
  await sleep(2_000);
  // It is looked five times a second, and said three times that the destinations are still this process's.
  expect(queries - before).toBeLessThan(100);
  stopping.abort();
  await running;
});
