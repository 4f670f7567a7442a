import { afterAll, beforeAll, expect, test } from "vitest";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";

let servers: TestHomeservers;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ask = asking(servers.hs);
});
afterAll(async () => await servers.close());

test("the last sticky event that one may have is acknowledged to who asks again, too", async () => {
  const { access_token: token } = await registered(ask, "alice");
  const { room_id } = (await ask("POST", "createRoom", { token, body: {} })).body;
  const send = async (txnId: number) => {
    const query = "org.matrix.msc4354.sticky_duration_ms=3600000";
    const path = `rooms/${room_id}/send/org.example.call/${txnId}?${query}`;
    return await ask("PUT", path, { token, body: {} });
  };
  const sent = [];
  for (let txnId = 1; txnId <= 100; txnId++) sent.push(await send(txnId));
  const last = sent.at(-1);
  expect(last?.status).toBe(200);
  expect((await send(101)).status).toBe(429);
  expect(await send(100)).toMatchObject({ status: 200, body: last?.body });
});
