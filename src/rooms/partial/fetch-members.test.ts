import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { forkedRoom } from "../received/testing-forks.ts";
import { fetchWholeState } from "./fetch-whole-state.ts";
import { fetchMembers } from "./job-fetch-members.ts";
import { partialSince } from "./queries-partial.ts";
import { enterPartially, membersFrom } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers();
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

describe("a room of which members are to be fetched", () => {
  test("is completed while nobody answers about others", async () => {
    const entered = [];
    for (let count = 0; count < 5; count++) {
      const { room: remote, basis } = forkedRoom("12", []);
      const it = await enterPartially(hs, remote, basis);
      await storeOutliers(
        hs,
        it.room,
        it.state.map((id) => remote.received(id)),
      );
      entered.push(it);
    }
    const [last, ...slow] = entered.toReversed() as [(typeof entered)[number]];
    const { roomKey, roomId } = last.room;
    await hs.sql`delete from partial_rooms where room_key <> all(${entered.map((it) => it.room.roomKey)})`;
    await hs.sql`update partial_rooms set due_ms = case when room_key = ${roomKey} then 2 else 1 end`;
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let asked = 0;
    const remotes: Homeserver["remotes"] = {
      ...hs.remotes,
      verifyKeys: async () => await Promise.resolve(new Map()),
      async getRoomStateIds(_server, question) {
        asked++;
        if (question.roomId === roomId) {
          return { ok: true, body: { pdu_ids: last.state, auth_chain_ids: [] } };
        }
        await released;
        return { ok: false, why: "unreachable", cause: 0 };
      },
    };
    const running = fetchMembers.run({ ...hs, remotes }, new AbortController().signal);
    await expect.poll(() => asked).toBeGreaterThanOrEqual(slow.length);
    const isPartial = async () => (await partialSince(hs.sql, roomKey)) !== undefined;
    await expect.poll(isPartial, { timeout: 10_000 }).toBe(false);
    release();
    await running;
  });

  test("is not said to have no members by who knows nothing of it", async () => {
    const { room: remote, basis } = forkedRoom("12", []);
    const { room, joinId, state } = await enterPartially(hs, remote, basis);
    const [ignorant, knowing] = membersFrom as [ServerName, ServerName];
    const asked: ServerName[] = [];
    const remotes: Homeserver["remotes"] = {
      ...hs.remotes,
      verifyKeys: async () => await Promise.resolve(new Map()),
      async getRoomStateIds(server) {
        asked.push(server);
        const pdu_ids = server === ignorant ? [] : state;
        return await Promise.resolve({ ok: true, body: { pdu_ids, auth_chain_ids: [] } });
      },
    };
    await storeOutliers(
      hs,
      room,
      state.map((id) => remote.received(id)),
    );
    const fetched = async (servers: readonly ServerName[]) =>
      await fetchWholeState({ ...hs, remotes }, room, { joinId, servers, until: hs.stopping });
    expect(await fetched([ignorant])).toBeUndefined();
    expect(new Set(await fetched([ignorant, knowing]))).toEqual(new Set(state));
    expect(asked).toEqual([ignorant, ignorant, knowing]);
  });
});
