import { afterAll, describe, expect, test } from "vitest";
import { banUser, kickUser, leaveRoom, unbanUser } from "#src/membership/change-members.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { bodies, everythingOf, openSyncStage } from "./testing.ts";

const { servers, hs, sync, say, twoInARoom } = await openSyncStage();
afterAll(async () => await servers.close());

describe("a sync", () => {
  test("tells those who leave, and those who are made to, up to that and no further", async () => {
    const { roomId, alice, bob } = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const { next_batch } = await sync(bob);
    await say(alice, roomId, "before");
    await kickUser(hs, alice, { roomId, target: bob.userId });
    await say(alice, roomId, "after");
    const { rooms } = await sync(bob, next_batch);
    expect(rooms?.join).toBeUndefined();
    expect(bodies(rooms?.leave?.[roomId])).toEqual(["before", undefined]);
    await leaveRoom(hs, alice, { roomId });
    expect((await sync(alice)).rooms).toBeUndefined();
  });

  test("tells those who are kicked and then banned of what was before the first of that", async () => {
    const { roomId, alice, bob } = await twoInARoom();
    await joinRoom(hs, bob, roomId);
    const { next_batch } = await sync(bob);
    for (const body of ["one", "two", "three"]) await say(alice, roomId, body);
    await kickUser(hs, alice, { roomId, target: bob.userId });
    await say(alice, roomId, "hidden");
    await banUser(hs, alice, { roomId, target: bob.userId });
    const filter = { room: { timeline: { limit: 4 } } };
    const told = (await sync(bob, next_batch, { filter })).rooms?.leave?.[roomId];
    expect(bodies(told)).toEqual(["three", undefined, undefined]);
    expect(told?.timeline.limited).toBe(true);
    const all = { room: { include_leave: true } };
    const first = (await sync(bob, undefined, { filter: all })).rooms?.leave?.[roomId];
    expect(everythingOf(first).map((it) => it.type)).toContain("m.room.create");
    const { next_batch: known } = await sync(bob);
    await unbanUser(hs, alice, { roomId, target: bob.userId });
    const unbanned = (await sync(bob, known)).rooms?.leave?.[roomId];
    expect(unbanned?.timeline).toMatchObject({
      events: [{ type: "m.room.member" }],
      limited: false,
    });
  });

  test.each([10, 1])(
    "tells those who are kicked and then banned of no state that was set in between, %i events at most",
    async (limit) => {
      const { roomId, alice, bob } = await twoInARoom();
      await joinRoom(hs, bob, roomId);
      const { next_batch } = await sync(bob);
      await kickUser(hs, alice, { roomId, target: bob.userId });
      const room = await findRoom(hs, roomId);
      if (!room) throw new Error("no such room");
      const topic = { type: "m.room.topic", state_key: "", content: { topic: "secret" } };
      await sendEvent(hs, { sender: alice, room, draft: topic });
      await say(alice, roomId, "hidden");
      await banUser(hs, alice, { roomId, target: bob.userId });
      const timeline = { limit };
      const filter = { room: { timeline, include_leave: true } };
      for (const since of [next_batch, undefined]) {
        for (const stateAfter of [undefined, "state_after"] as const) {
          const answer = await sync(bob, since, { filter, stateAfter });
          expect(JSON.stringify(answer)).not.toContain("secret");
          const told = answer.rooms?.leave?.[roomId];
          const isWhole = JSON.stringify(told).includes("m.room.create");
          const last = stateAfter
            ? told?.state_after?.events.filter((it) => it.state_key === bob.userId)
            : told?.timeline.events.slice(-1);
          expect({ isWhole, last }).toMatchObject({
            isWhole: since === undefined,
            last: [{ content: { membership: "ban" } }],
          });
        }
      }
    },
  );

  test("tells whoever declines an invitation nothing of what was said in the room", async () => {
    const { roomId, alice, bob } = await twoInARoom();
    const { next_batch } = await sync(bob);
    await say(alice, roomId, "secret");
    await leaveRoom(hs, bob, { roomId });
    const { rooms } = await sync(bob, next_batch);
    expect(rooms?.leave?.[roomId]?.timeline.events.map((it) => it.type)).toEqual(["m.room.member"]);
    expect(rooms?.leave?.[roomId]?.state.events).toEqual([]);
  });
});
