import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { someOfStatesAt } from "#src/rooms/current-state.ts";
import { forkedRoom, steps, USERS } from "#src/rooms/received/testing-forks.ts";
import { deliverLive, knownRoom } from "#src/rooms/received/testing.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { membershipsAt } from "./memberships-at.ts";

let servers: TestHomeservers;
let hs: Homeserver;
beforeAll(async () => {
  servers = await testHomeservers();
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

/** Those who were never in the room, so many that not all are looked at at once. */
const OTHERS = Array.from({ length: 998 }, (_, n): UserId => `@other${n}:two.test`);

test("are what each of the states says, whoever comes, goes and is not looked at first", async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (its) => {
      const { room: remote, basis, later } = forkedRoom("12", its);
      const room = await knownRoom(hs, remote);
      await deliverLive(hs, { room, remote }, [...basis, ...later]);
      const rows = await hs.sql<{ state_after: number }[]>`
        select distinct state_after from events
        where room_key = ${room.roomKey} and state_after is not null`;
      const roots = rows.map((it) => it.state_after);

      const pairs = USERS.map((it): StatePair => ["m.room.member", it]);
      const states = await someOfStatesAt(hs, roots, pairs);
      const expected = roots.map(
        (root) =>
          new Set(Array.from(states.get(root)?.values() ?? [], (it) => it.content["membership"])),
      );

      const found = new Map(roots.map((root) => [root, new Set<unknown>()]));
      const users = [...USERS.slice(0, 2), ...OTHERS, ...USERS.slice(2)];
      let parts = 0;
      for await (const part of membershipsAt(hs, roots, users)) {
        parts++;
        for (const [root, own] of part) for (const it of own) found.get(root)?.add(it);
      }
      expect(parts).toBe(3);
      expect(roots.map((root) => found.get(root))).toEqual(expected);
    }),
    { numRuns: 15 },
  );
});
