import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { Courier } from "./courier.ts";

let servers: TestHomeservers;

beforeAll(async () => void (servers = await testHomeservers()));
afterAll(async () => await servers.close());

/** So often somebody has asked what time it is when a courier is said to run in circles. */
const CIRCLES = 100;

test("comes to rest when it is woken while the homeserver stops", async () => {
  const stopping = new AbortController();
  let looks = 0;
  const hs: Homeserver = {
    ...servers.hs,
    stopping: stopping.signal,
    now() {
      // Else it would have the event loop for itself, and nobody could see it.
      if (++looks === CIRCLES) void courier.stop();
      return 0;
    },
  };
  const turns: PromiseWithResolvers<void>[] = [];
  const office = {
    async turn() {
      const turn = Promise.withResolvers<void>();
      turns.push(turn);
      await turn.promise;
    },
    taken() {},
    failed() {},
  };
  const destination = { serverName: "peer.test" as ServerName, takenUpTo: 0, failures: 0 };
  const courier = new Courier(hs, office, destination, undefined);
  courier.wake();
  courier.wake();
  stopping.abort();
  turns[0]?.resolve();
  await nextTurn();
  courier.wake();
  await nextTurn();
  expect(turns).toHaveLength(1);
  expect(courier.isIdle).toBe(true);
  expect(looks).toBeLessThan(CIRCLES);
});
