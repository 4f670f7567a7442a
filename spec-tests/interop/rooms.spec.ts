import { type MatrixEvent, NotificationCountType, ReceiptType, RelationType } from "matrix-js-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { aliceAndBob, type AliceAndBob } from "./alice-and-bob.ts";
import { say, seen, sharedRoom, SOON, textsIn } from "./js-sdk.ts";

let { alice, bob, stop } = {} as AliceAndBob;

beforeAll(async () => ({ alice, bob, stop } = await aliceAndBob()));
afterAll(async () => await stop?.());

describe("a room of two", () => {
  test("is made, told of by an invite, and joined", async () => {
    const { room_id: roomId } = await alice.client.createRoom({
      name: "Harbour",
      topic: "Ships",
      invite: [bob.userId],
    });
    await expect.poll(() => bob.client.getRoom(roomId)?.getMyMembership(), SOON).toBe("invite");
    const invited = bob.room(roomId);
    expect(invited.name).toBe("Harbour");
    expect(invited.getMember(bob.userId)?.events.member?.getSender()).toBe(alice.userId);

    await bob.client.joinRoom(roomId);
    for (const device of [alice, bob]) {
      const ids = () =>
        device
          .room(roomId)
          .getJoinedMembers()
          .map(({ userId }) => userId);
      await expect
        .poll(() => ids().toSorted(), SOON)
        .toEqual([alice.userId, bob.userId].toSorted());
    }
    await expect
      .poll(() => {
        const topic = bob.room(roomId).currentState.getStateEvents("m.room.topic", "");
        return topic?.getContent()["topic"];
      }, SOON)
      .toBe("Ships");
  });

  test.each(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"])(
    "can be of version %s",
    async (version) => {
      const roomId = await sharedRoom(alice, bob, { room_version: version });
      await say(bob, alice, roomId, "from the guest");
      await say(alice, bob, roomId, "from the owner");
      expect(bob.room(roomId).getVersion()).toBe(version);
    },
  );

  test("shows its sender each message once, under the transaction it was sent with", async () => {
    const roomId = await sharedRoom(alice, bob);
    const sent = await Promise.all(
      ["one", "two", "three"].map(async (text) => await alice.client.sendTextMessage(roomId, text)),
    );
    for (const { event_id: eventId } of sent) {
      await expect
        .poll(() => seen(alice, roomId, eventId)?.getUnsigned().transaction_id, SOON)
        .toBeTypeOf("string");
    }
    expect(textsIn(alice, roomId).toSorted()).toEqual(["one", "three", "two"]);
    expect(alice.room(roomId).getPendingEvents()).toEqual([]);
    const texts = () => textsIn(bob, roomId);
    await expect.poll(texts, SOON).toEqual(textsIn(alice, roomId));
  });

  test("shows edits, reactions and redactions to the other", async () => {
    const roomId = await sharedRoom(alice, bob);
    const eventId = await say(alice, bob, roomId, "teh ship");

    await alice.client.sendMessage(roomId, {
      msgtype: "m.text",
      body: "* the ship",
      "m.new_content": { msgtype: "m.text", body: "the ship" },
      "m.relates_to": { rel_type: RelationType.Replace, event_id: eventId },
    } as never);
    await expect.poll(() => textsIn(bob, roomId), SOON).toEqual(["the ship"]);

    const reaction = await bob.client.sendEvent(
      roomId,
      "m.reaction" as never,
      {
        "m.relates_to": { rel_type: RelationType.Annotation, event_id: eventId, key: "⚓" },
      } as never,
    );
    const reactions = () =>
      alice
        .room(roomId)
        .relations.getChildEventsForEvent(eventId, RelationType.Annotation, "m.reaction")
        ?.getSortedAnnotationsByKey()
        ?.map(([key, events]) => [key, events.size])
        // The SDK keeps the key of a reaction that was redacted.
        .filter(([, count]) => count !== 0);
    await expect.poll(reactions, SOON).toEqual([["⚓", 1]]);
    await bob.client.redactEvent(roomId, reaction.event_id);
    await expect.poll(reactions, SOON).toEqual([]);

    await alice.client.redactEvent(roomId, eventId, undefined, { reason: "wrong room" });
    await expect.poll(() => seen(bob, roomId, eventId)?.isRedacted(), SOON).toBe(true);
    expect(seen(bob, roomId, eventId)?.getContent()).toEqual({});
    expect(textsIn(bob, roomId)).toEqual([]);
    const again = await bob.client.fetchRoomEvent(roomId, eventId);
    expect(again.content).toEqual({});
    expect(again.unsigned?.redacted_because?.content).toMatchObject({ reason: "wrong room" });
  });

  test("counts what is unread until it is read, and tells who has read what", async () => {
    const roomId = await sharedRoom(alice, bob);
    const counts = () => {
      const room = bob.room(roomId);
      return [NotificationCountType.Total, NotificationCountType.Highlight].map((type) =>
        room.getUnreadNotificationCount(type),
      );
    };
    const first = await say(alice, bob, roomId, "one");
    await say(alice, bob, roomId, "two");
    await expect.poll(counts, SOON).toEqual([2, 0]);
    const { event_id: last } = await alice.client.sendMessage(roomId, {
      msgtype: "m.text",
      body: "you",
      "m.mentions": { user_ids: [bob.userId] },
    } as never);
    await expect.poll(counts, SOON).toEqual([3, 1]);

    await bob.client.sendReadReceipt(seen(bob, roomId, first) ?? null);
    const readersOf = (eventId: string) => () => {
      const event = seen(alice, roomId, eventId);
      return event === undefined ? [] : alice.room(roomId).getUsersReadUpTo(event);
    };
    await expect.poll(readersOf(first), SOON).toContain(bob.userId);
    await expect.poll(counts, SOON).toEqual([2, 1]);

    await bob.client.sendReadReceipt(seen(bob, roomId, last) ?? null, ReceiptType.ReadPrivate);
    await expect.poll(counts, SOON).toEqual([0, 0]);
    // Whoever reads in private still stands, to others, where they have read in public.
    await say(bob, alice, roomId, "not telling");
    expect(
      alice.room(roomId).getReceiptsForEvent(seen(alice, roomId, last) as MatrixEvent),
    ).toEqual([]);
  });

  test("keeps how far each has read, and whether they want to be told", async () => {
    const roomId = await sharedRoom(alice, bob);
    const eventId = await say(alice, bob, roomId, "so far");
    await bob.client.setRoomReadMarkers(roomId, eventId, seen(bob, roomId, eventId));
    const marker = () => bob.room(roomId).getAccountData("m.fully_read")?.getContent()["event_id"];
    await expect.poll(marker, SOON).toBe(eventId);
    const unread = () => bob.room(roomId).getUnreadNotificationCount(NotificationCountType.Total);
    await expect.poll(unread, SOON).toBe(0);

    await bob.client.setRoomMutePushRule("global", roomId, true);
    await say(alice, bob, roomId, "into the void");
    expect(unread()).toBe(0);
    await bob.client.setRoomMutePushRule("global", roomId, false);
    await say(alice, bob, roomId, "heard");
    await expect.poll(unread, SOON).toBeGreaterThan(0);
  });

  test("tells who is typing, until they stop", async () => {
    const roomId = await sharedRoom(alice, bob);
    const typing = () => alice.room(roomId).getMember(bob.userId)?.typing;
    await bob.client.sendTyping(roomId, true, 30_000);
    await expect.poll(typing, SOON).toBe(true);
    await bob.client.sendTyping(roomId, false, 0);
    await expect.poll(typing, SOON).toBe(false);
    // Less than a moment nobody need hear of, nor does who is busy.
    await bob.client.sendTyping(roomId, true, 5_000);
    await expect.poll(typing, SOON).toBe(true);
    await expect.poll(typing, SOON).toBe(false);
  });

  test("follows its members' profiles", async () => {
    const roomId = await sharedRoom(alice, bob);
    await bob.client.setDisplayName("Robert");
    await bob.client.setAvatarUrl("mxc://hs1/robert");
    const member = () => alice.room(roomId).getMember(bob.userId);
    await expect.poll(() => member()?.name, SOON).toBe("Robert");
    await expect.poll(() => member()?.getMxcAvatarUrl(), SOON).toBe("mxc://hs1/robert");
    const profile = await alice.client.getProfileInfo(bob.userId);
    expect(profile).toMatchObject({ displayname: "Robert", avatar_url: "mxc://hs1/robert" });
    await bob.client.setDisplayName("Bob");
    await expect.poll(() => member()?.name, SOON).toBe("Bob");
  });

  test("is left by whoever is kicked, and closed to whoever is banned", async () => {
    const roomId = await sharedRoom(alice, bob, { visibility: "public" as never });
    const mine = () => bob.client.getRoom(roomId)?.getMyMembership();
    await alice.client.kick(roomId, bob.userId, "enough");
    await expect.poll(mine, SOON).toBe("leave");
    expect(bob.room(roomId).getMember(bob.userId)?.events.member?.getContent()["reason"]).toBe(
      "enough",
    );
    await expect(bob.client.sendTextMessage(roomId, "hello?")).rejects.toMatchObject({
      errcode: "M_FORBIDDEN",
    });
    for (const unsent of bob.room(roomId).getPendingEvents()) bob.client.cancelPendingEvent(unsent);

    await alice.client.ban(roomId, bob.userId);
    await expect(bob.client.joinRoom(roomId)).rejects.toMatchObject({ httpStatus: 403 });
    await alice.client.unban(roomId, bob.userId);
    await alice.client.invite(roomId, bob.userId);
    await expect.poll(mine, SOON).toBe("invite");
    await bob.client.joinRoom(roomId);
    await say(bob, alice, roomId, "back again");

    await bob.client.leave(roomId);
    await expect.poll(mine, SOON).toBe("leave");
    await bob.client.forget(roomId);
    expect(bob.client.getRoom(roomId)).toBeNull();
  });

  test("obeys its power levels", async () => {
    const roomId = await sharedRoom(alice, bob);
    await expect(bob.client.setRoomName(roomId, "Mine")).rejects.toMatchObject({
      errcode: "M_FORBIDDEN",
    });
    await alice.client.setPowerLevel(roomId, bob.userId, 50);
    await bob.client.setRoomName(roomId, "Ours");
    await expect.poll(() => alice.room(roomId).name, SOON).toBe("Ours");
    await expect.poll(() => bob.room(roomId).getMember(bob.userId)?.powerLevel, SOON).toBe(50);
  });
});
