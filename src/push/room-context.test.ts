import { afterAll, expect, test } from "vitest";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { memberChange } from "#src/rooms/event-changes.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import type { Stream } from "#src/streams/stream.ts";
import { write } from "#src/streams/write.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { roomContextOf } from "./room-context.ts";
import { roomUnreadsOf } from "./room-unreads.ts";

const house = await testHomeservers(1);
const { hs } = house;
afterAll(async () => await house.close());

type Standing = { readonly userKey: number; readonly roomKey: number };

/** Has members be gone, as when forks are resolved: no event says so. */
const resolutions: Stream<Standing, undefined> = {
  name: "resolutions",
  async store(_hs, lane, writes) {
    for (const { write: it } of writes) {
      await lane`
        update memberships set membership = 'leave'
        where user_key = ${it.userKey} and room_key = ${it.roomKey}`;
    }
    return writes.map(({ write: it, position }) => ({
      ok: true,
      result: undefined,
      changes: [memberChange({ ...it, eventKey: position })],
    }));
  },
  changesBetween: async () => [],
};

test("how many members a room has is asked anew when one has moved without an event", async () => {
  const [alice, bob] = [await testUser(hs, "alice"), await testUser(hs, "bob")];
  const roomId = await createRoom(hs, alice, { preset: "public_chat" });
  await joinRoom(hs, bob, roomId);
  const { roomKey = 0 } = (await findRoom(hs, roomId)) ?? {};
  const memberCount = async () => {
    const [room] = await roomUnreadsOf(hs, [roomKey]);
    return room && (await roomContextOf(hs, room)).memberCount;
  };
  expect(await memberCount()).toBe(2);
  await write(hs, resolutions, { userKey: bob.userKey, roomKey });
  await expect.poll(memberCount, { timeout: 10_000 }).toBe(1);
});
