import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { aliceAndBob, type AliceAndBob } from "./alice-and-bob.ts";
import { newDevice, pageBack, say, type SdkDevice, sharedRoom, SOON } from "./js-sdk.ts";

let { homeserver, aliceUser, alice, bob, stop } = {} as AliceAndBob;

beforeAll(async () => ({ homeserver, aliceUser, alice, bob, stop } = await aliceAndBob()));
afterAll(async () => await stop?.());

describe("a device that comes later", () => {
  const sent: string[] = [];
  let roomId: string;

  beforeAll(async () => {
    roomId = await sharedRoom(alice, bob);
    for (let number = 0; number < 60; number++) {
      const sender = number % 3 === 0 ? bob : alice;
      const { event_id: eventId } = await sender.client.sendTextMessage(
        roomId,
        `message ${number}`,
      );
      sent.push(eventId);
    }
  });

  test("pages back to the beginning, and meets every event once", async () => {
    const late = await newDevice(homeserver, aliceUser, {
      start: { initialSyncLimit: 5, lazyLoadMembers: true },
    });
    try {
      const room = late.room(roomId);
      const timeline = room.getLiveTimeline();
      expect(timeline.getEvents().length).toBe(5);
      await pageBack(late, roomId, 7);
      const events = timeline.getEvents();
      expect(events[0]?.getType()).toBe("m.room.create");
      const messages = events.filter((event) => event.getType() === "m.room.message");
      expect(messages.map((event) => event.getId())).toEqual(sent);
      expect(new Set(events.map((event) => event.getId())).size).toBe(events.length);
    } finally {
      late.stop();
    }
  });

  test("opens the room in the middle, and pages both ways", async () => {
    const late = await newDevice(homeserver, aliceUser, { start: { initialSyncLimit: 1 } });
    try {
      const set = late.room(roomId).getUnfilteredTimelineSet();
      const timeline = await late.client.getEventTimeline(set, sent[30] ?? "");
      if (timeline === null) throw new Error("There is nothing around the event.");
      await late.client.paginateEventTimeline(timeline, { backwards: true, limit: 10 });
      await late.client.paginateEventTimeline(timeline, { backwards: false, limit: 10 });
      const ids = timeline.getEvents().map((event) => event.getId() ?? "");
      const from = sent.indexOf(ids[0] ?? "");
      expect(ids.length).toBeGreaterThan(20);
      expect(ids).toContain(sent[30]);
      expect(ids).toEqual(sent.slice(from, from + ids.length));
    } finally {
      late.stop();
    }
  });

  test("is told whom a room is named after, and loads the other members", async () => {
    const named = await sharedRoom(alice, bob, { name: "Quay" });
    await say(alice, bob, named, "moored");
    const late = await newDevice(homeserver, aliceUser, {
      start: { initialSyncLimit: 1, lazyLoadMembers: true },
    });
    try {
      expect(late.room(roomId).name).toBe(bob.room(roomId).getMember(bob.userId)?.rawDisplayName);

      const room = late.room(named);
      const ids = () => room.getJoinedMembers().map(({ userId }) => userId);
      expect(ids()).toEqual([alice.userId]);
      expect(room.getJoinedMemberCount()).toBe(2);
      await room.loadMembersIfNeeded();
      expect(ids().toSorted()).toEqual([alice.userId, bob.userId].toSorted());
    } finally {
      late.stop();
    }
  });

  test("has the account data that another device has set", async () => {
    await alice.client.setAccountData("org.example.anchor" as never, { weight: 12 } as never);
    const late = await newDevice(homeserver, aliceUser);
    try {
      const weight = (device: SdkDevice) => () =>
        device.client.getAccountData("org.example.anchor" as never)?.getContent()["weight"];
      expect(weight(late)()).toBe(12);
      await late.client.setAccountData("org.example.anchor" as never, { weight: 13 } as never);
      await expect.poll(weight(alice), SOON).toBe(13);
    } finally {
      late.stop();
    }
  });
});
