import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { asking } from "#src/testing-http.ts";
import type { ServerBody } from "../../spec-tests/server-server/server-answers.ts";
import { type FederatedHomeserver, testFederation } from "../testing.ts";
import { DAY, honest } from "./testing.ts";

const federation = await testFederation();
let hs2: FederatedHomeserver;
beforeAll(async () => {
  hs2 = await federation.open({ host: "hs2.test" });
});
afterAll(async () => await federation.close());

type Keys = Pick<ServerBody, "server_keys">;

describe("a notary", () => {
  test("signs what it shows, and leaves the server's signature", async () => {
    const server = await honest(federation);
    const { keyId } = server.key;
    const query = { server_keys: { [server.name]: { [keyId]: {} }, "nobody.test:1": {} } };
    const { body } = await asking(hs2.hs)<Keys>("POST", "/_matrix/key/v2/query", { body: query });
    expect(body.server_keys).toHaveLength(1);
    expect(body.server_keys[0]).toMatchObject(server.says);
    expect(Object.keys(body.server_keys[0]?.signatures[hs2.name] ?? {})).toEqual([
      hs2.hs.signingKey.keyId,
    ]);
  });

  test("asks again when half of the time is over, or more is wanted", async () => {
    const server = await honest(federation);
    let time = Date.now();
    const ask = asking({ ...hs2.hs, now: () => time });
    const path = `/_matrix/key/v2/query/${encodeURIComponent(server.name)}`;
    await ask("GET", path);
    time += 11 * 3_600_000;
    await ask("GET", path);
    expect(server.asked).toBe(1);
    time += 2 * 3_600_000;
    await ask("GET", path);
    expect(server.asked).toBe(2);
    time += 60_000;
    await ask("GET", `${path}?minimum_valid_until_ts=${time + 3 * DAY}`);
    expect(server.asked).toBe(3);
  });

  test("shows its own keys, and of nobody nothing", async () => {
    const ask = asking(hs2.hs);
    const own = await ask<Keys>("GET", `/_matrix/key/v2/query/${encodeURIComponent(hs2.name)}`);
    expect(own.body.server_keys[0]?.server_name).toBe(hs2.name);
    const body = { server_keys: {} };
    expect((await ask("POST", "/_matrix/key/v2/query", { body })).body).toEqual({
      server_keys: [],
    });
  });

  test.each([
    [{}],
    [{ server_keys: [] }],
    [{ server_keys: { a: 5 } }],
    [{ server_keys: { a: { k: { minimum_valid_until_ts: "x" } } } }],
    [{ server_keys: Object.fromEntries(Array.from({ length: 300 }, (_, it) => [`a${it}`, {}])) }],
  ])("refuses what is no question", async (body) => {
    const { status } = await asking(hs2.hs)<Keys>("POST", "/_matrix/key/v2/query", { body });
    expect(status).toBe(400);
  });

  test("refuses a time that is none", async () => {
    const path = "/_matrix/key/v2/query/a.test?minimum_valid_until_ts=tomorrow";
    expect((await asking(hs2.hs)("GET", path)).status).toBe(400);
  });
});

test("asks few servers for whoever would have it ask many, and goes on telling what it knows", async () => {
  const known = await federation.open({ host: "hs1.test" });
  const { hs } = await federation.open({
    host: "hs2.test",
    variables: {
      ARCHIPEL_RATE_LIMITS_ENABLED: "true",
      ARCHIPEL_RATE_LIMITS_KEYS_BURST: "3",
      ARCHIPEL_RATE_LIMITS_KEYS_PER_SECOND: "0.001",
    },
  });
  const asked = async (...names: string[]) => {
    const body = { server_keys: Object.fromEntries(names.map((it) => [it, {}])) };
    return await asking(hs)("POST", "/_matrix/key/v2/query", { body });
  };
  expect((await asked(known.name)).body.server_keys).toHaveLength(1);
  expect((await asked("a.test:1", "b.test:1", "c.test:1")).status).toBe(200);
  const refusal = {
    status: 429,
    body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: expect.any(Number) },
  };
  expect(await asked("d.test:1")).toMatchObject(refusal);
  const path = (name: string) => `/_matrix/key/v2/query/${encodeURIComponent(name)}`;
  expect(await asking(hs)("GET", path("d.test:1"))).toMatchObject(refusal);
  expect((await asking(hs)("GET", path(known.name))).body.server_keys).toHaveLength(1);
});
