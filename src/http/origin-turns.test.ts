import { afterAll, expect, test } from "vitest";
import type { ServerName } from "#src/kit/identifiers.ts";
import { LENIENT } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { serverEndpoint } from "./endpoint.ts";
import { mount } from "./mount.ts";

const homes = await testHomeservers(1, {
  ...LENIENT,
  ARCHIPEL_LISTENER_TRUST_FORWARDED_FOR: "true",
});
afterAll(async () => await homes.close());

test("who names many servers that do not answer keeps nobody else out, and is told when to come again", async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  let asked = 0;
  const endpoint = serverEndpoint({
    operation: "getEvent",
    method: "GET",
    path: "/event",
    handle: () => ({}),
  });
  const app = mount(homes.hs, [endpoint], nobody, async (_hs, { authorization }) => {
    if (authorization === "hanging") {
      asked++;
      await answered;
    }
    return "other.test" as ServerName;
  });
  const ask = async (ip: string, authorization: string) => {
    const headers = { "x-forwarded-for": ip, authorization };
    return await app.request("/event", { headers });
  };

  const hanging = Array.from({ length: 1_100 }, async (_, n) => {
    return await ask(`2001:db8::${n.toString(16)}`, "hanging");
  });
  await expect.poll(() => asked).toBe(100);
  const refused = await ask("2001:db8::ffff", "hanging");
  expect(refused.status).toBe(429);
  expect(await refused.json()).toMatchObject({
    errcode: "M_LIMIT_EXCEEDED",
    retry_after_ms: expect.any(Number),
  });
  expect((await ask("2001:db8:0:1::", "quick")).status).toBe(200);
  expect(asked).toBe(100);

  answer();
  const statuses = (await Promise.all(hanging)).map((it) => it.status);
  expect(statuses.filter((it) => it === 200)).toHaveLength(1_100);
  expect((await ask("2001:db8::ffff", "quick")).status).toBe(200);
});

function nobody(): never {
  throw new Error("nobody has a token");
}
