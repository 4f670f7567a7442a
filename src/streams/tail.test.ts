import { afterAll, beforeAll, expect, test } from "vitest";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { Tail } from "./tail.ts";

let servers: TestHomeservers;
beforeAll(async () => {
  servers = await testHomeservers(1);
});
afterAll(async () => await servers.close());

test("what is remembered has an end, whether it is much or long", () => {
  const tail = new Tail(servers.hs);
  for (let position = 1; position <= 20; position++) {
    const change = { position, stream: "notes", characters: 10_000_000 };
    void tail.append(position - 1, position, [change]);
  }
  expect(tail.remembered().length).toBeLessThan(10);
  expect(tail.between(0, 20)).toBeUndefined();
  expect(tail.between(18, 20)).toHaveLength(2);
});
