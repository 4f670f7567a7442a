import { afterAll, expect, test } from "vitest";
import { asking } from "#src/testing-http.ts";
import { testFederation } from "../testing.ts";

const federation = await testFederation();
afterAll(async () => await federation.close());

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
