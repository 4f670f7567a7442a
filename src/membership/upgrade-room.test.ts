import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { createRoom } from "./create-room.ts";
import { joinRoom } from "./join-room.ts";
import { upgradeRoom } from "./upgrade-room.ts";

let servers: TestHomeservers;
let alice: Requester;
let bob: Requester;

beforeAll(async () => {
  servers = await testHomeservers(2);
  alice = await testUser(servers.hs, "alice");
  bob = await testUser(servers.hs, "bob");
});
afterAll(async () => await servers.close());

test("two who upgrade at once, in two processes, make one successor each time or none", async () => {
  const [hs, other] = servers.all as [typeof servers.hs, typeof servers.hs];
  const roomId = await createRoom(hs, alice, {
    preset: "public_chat",
    room_version: "11",
    power_level_content_override: { users: { [alice.userId]: 100, [bob.userId]: 100 } },
  });
  await joinRoom(other, bob, roomId);
  const room = await findRoom(hs, roomId);
  if (!room) throw new Error("the room is not there");
  // The first to end it takes the others' power to do so: events_default has no say in that, the levels have.
  const demotion = {
    type: "m.room.power_levels",
    state_key: "",
    content: { users: { [alice.userId]: 100 } },
  };
  const upgrade = { roomId, version: "11", additionalCreators: [] };
  // Who begins when the room has ended already makes another successor: so nothing is written before all have looked.
  const release = holdWrites(servers.all);
  const tried = Promise.allSettled([
    upgradeRoom(other, bob, upgrade),
    sendEvent(hs, { sender: alice, room, draft: demotion }),
    upgradeRoom(other, bob, upgrade),
    upgradeRoom(hs, alice, upgrade),
  ]);
  await sleep(2_000);
  release();
  const tries = await tried;
  const successors = [0, 2, 3].flatMap((index) => {
    const it = tries[index];
    return it?.status === "fulfilled" ? [it.value as string] : [];
  });
  expect(new Set(successors).size).toBe(1);
  // What was refused has left no room.
  const rows = await hs.sql<{ room_id: string }[]>`select room_id from rooms`;
  expect(new Set(rows.map((it) => it.room_id))).toEqual(new Set([roomId, ...successors]));
  const empty = await hs.sql`
    select from rooms where not exists (select from events where events.room_key = rooms.room_key)`;
  expect(empty).toHaveLength(0);
  for (const on of [hs, other]) {
    const tombstone = await stateEvent(on, room.roomKey, "m.room.tombstone", "");
    expect(successors).toContain(tombstone?.content["replacement_room"]);
  }
});

test.each([0, 1])(
  "an upgrade that is sent twice at once, to process %i too, makes one room",
  async (at) => {
    const roomId = await createRoom(servers.hs, alice, { preset: "public_chat" });
    const upgrade = { roomId, version: "12", additionalCreators: [] };
    const before = await rooms();
    const on = [servers.hs, servers.all[at] ?? servers.hs];
    const made = await Promise.all(on.map(async (it) => await upgradeRoom(it, alice, upgrade)));
    expect(new Set(made).size).toBe(1);
    expect(await rooms()).toBe(before + 1);
    // What is asked once more later is another upgrade: the first successor may not have been what was wanted.
    expect(made).not.toContain(await upgradeRoom(servers.hs, alice, upgrade));
  },
);

test("who is banned in the moment of an upgrade, through another process, is banned from the new room as well", async () => {
  const [hs, other] = servers.all as [typeof servers.hs, typeof servers.hs];
  const roomId = await createRoom(hs, alice, { preset: "public_chat" });
  const room = await findRoom(hs, roomId);
  if (!room) throw new Error("the room is not there");
  const ban = {
    type: "m.room.member",
    state_key: bob.userId,
    content: { membership: "ban", reason: "spam" },
  };
  const { lane } = hs;
  const overtaken: typeof lane = {
    ...lane,
    async transaction(work) {
      Object.assign(hs, { lane });
      await sendEvent(other, { sender: alice, room, draft: ban });
      return await lane.transaction(work);
    },
  };
  Object.assign(hs, { lane: overtaken });
  const made = await upgradeRoom(hs, alice, { roomId, version: "12", additionalCreators: [] });
  const successor = await findRoom(hs, made);
  const member = await stateEvent(hs, successor?.roomKey ?? 0, "m.room.member", bob.userId);
  expect(member?.content).toEqual(ban.content);
});

/** Lets no process write. @returns what lets them. */
function holdWrites(all: TestHomeservers["all"]): () => void {
  const { promise: released, resolve } = Promise.withResolvers<void>();
  for (const hs of all) {
    const { lane } = hs;
    const held: typeof lane = {
      ...lane,
      async transaction(work) {
        await released;
        return await lane.transaction(work);
      },
      async statement(work) {
        await released;
        return await lane.statement(work);
      },
    };
    Object.assign(hs, { lane: held });
    void released.then(() => Object.assign(hs, { lane }));
  }
  return resolve;
}

async function rooms(): Promise<number> {
  return (await servers.hs.sql`select from rooms`).count;
}
