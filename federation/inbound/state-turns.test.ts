import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerName } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { inStateTurn } from "./state-turns.ts";

let servers: TestHomeservers;

beforeAll(async () => void (servers = await testHomeservers()));
afterAll(async () => await servers.close());

test("a server gets fifty states at a time, and others get theirs meanwhile", async () => {
  const { hs } = servers;
  const [greedy, other] = ["greedy.test", "other.test"] as [ServerName, ServerName];
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  let atOnce = 0;
  let most = 0;
  const read = async () => {
    most = Math.max(most, ++atOnce);
    await released;
    atOnce--;
    return "state";
  };
  const asked = Array.from({ length: 50 }, async () => await inStateTurn(hs, greedy, read));
  const tooMuch = inStateTurn(hs, greedy, read);
  await expect(tooMuch).rejects.toMatchObject({ errcode: "M_LIMIT_EXCEEDED", status: 429 });
  const others = inStateTurn(hs, other, read);
  release();
  expect(await Promise.all([...asked, others])).toEqual(Array.from({ length: 51 }, () => "state"));
  expect(most).toBe(4);
  expect(await inStateTurn(hs, greedy, read)).toBe("state");
});
