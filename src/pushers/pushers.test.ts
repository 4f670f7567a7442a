import { afterAll, describe, expect, test } from "vitest";
import { parseUserId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { unreadTotal } from "#src/push/unread-total.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { knownRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { currentPosition, tailOf } from "#src/streams/tail.ts";
import type { OwedPusher } from "./pusher.ts";
import { owedEvents } from "./queries-owed.ts";
import { tellOverGateway } from "./tell-over-gateway.ts";
import { pushingHouse } from "./testing.ts";

const { gateway, hs, ask, user, roomOf, say, read, close } = await pushingHouse();
afterAll(close);

const OUTSIDER: UserId = "@odile:one.test";

describe("a pusher", () => {
  test("tells of what its user is to know, whichever process it happens in", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await say(alice, roomId, { body: "before" });
    await bob.setPusher({}, { colour: "blue" });
    const eventId = await say(alice, roomId, { "m.mentions": { room: true } });
    expect(await bob.toldOf(eventId)).toMatchObject({
      room_id: roomId,
      type: "m.room.message",
      sender: expect.stringContaining("@alice"),
      sender_display_name: expect.stringContaining("alice"),
      room_name: "Harbour",
      room_alias: expect.stringContaining("#harbour"),
      prio: "high",
      content: { body: "land ahoy" },
      counts: { unread: 2 },
      devices: [
        {
          app_id: "org.example",
          pushkey: bob.pushkey,
          pushkey_ts: expect.any(Number),
          data: { colour: "blue" },
          tweaks: { highlight: true },
        },
      ],
    });
    // Neither of what was before, nor of what one says oneself.
    const own = await say(bob, roomId);
    await bob.toldOf(await say(alice, roomId));
    expect(bob.told().filter((it) => it.event_id !== undefined)).toHaveLength(2);
    expect(bob.told().some((it) => it.event_id === own)).toBe(false);
    expect(bob.told()[0]?.devices[0]?.data).toEqual({ colour: "blue" });
  });

  test("tells of invitations", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice);
    await bob.setPusher();
    const { user_id } = (await ask("GET", "account/whoami", { token: bob.token })).body;
    await ask("POST", `rooms/${roomId}/invite`, { token: alice.token, body: { user_id } });
    await expect
      .poll(() => bob.told()[0], { timeout: 15_000 })
      .toMatchObject({
        type: "m.room.member",
        user_is_target: true,
        membership: "invite",
        room_name: "Harbour",
        counts: { unread: 1 },
      });
  });

  test("names a room elsewhere as the invitation to it does", async () => {
    const bob = await user("bob");
    await bob.setPusher();
    const userId = parseUserId(
      (await ask("GET", "account/whoami", { token: bob.token })).body.user_id,
    );
    const remote = new RemoteRoom("12", "named");
    const begun = remote.begin(OUTSIDER);
    const content = { membership: "invite" };
    const draft = { type: "m.room.member", state_key: userId, content };
    const invite = remote.received(remote.add(OUTSIDER, draft, [begun]));
    const state = (type: string, key: string, its: object) => ({
      type,
      state_key: key,
      sender: OUTSIDER,
      content: its,
    });
    const strippedState = [
      state("m.room.name", "", { name: "Far away" }),
      state("m.room.member", OUTSIDER, { membership: "join", displayname: "Odile" }),
    ];
    const room = await knownRoom(hs, remote);
    const told = { strippedState, by: serverNameOf(OUTSIDER) };
    await storeOutsideMembership(hs, { room, received: invite, membership: "invite", told });
    await expect
      .poll(() => bob.told()[0], { timeout: 15_000 })
      .toMatchObject({
        room_id: remote.roomId,
        room_name: "Far away",
        sender_display_name: "Odile",
        membership: "invite",
      });
  });

  test("says no more than it must if it is asked to", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher({}, { format: "event_id_only" });
    const eventId = await say(alice, roomId);
    const told = await bob.toldOf(eventId);
    expect(told).toEqual({
      event_id: eventId,
      room_id: roomId,
      prio: "high",
      counts: { unread: 1 },
      devices: [expect.any(Object)],
    });
    expect(told?.devices[0]?.data).toEqual({ format: "event_id_only" });
    expect(told?.devices[0]).not.toHaveProperty("tweaks");
  });

  test("says how much is unread when something was read elsewhere", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await bob.setPusher();
    const eventId = await say(alice, roomId);
    await bob.toldOf(eventId);
    await read(bob, roomId, eventId);
    await expect
      .poll(() => bob.told().at(-1), { timeout: 15_000 })
      .toEqual({
        counts: { unread: 0 },
        devices: [expect.objectContaining({ pushkey: bob.pushkey })],
      });
  });

  test("says that more is unread with what that is, and not before", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    await say(alice, await roomOf(alice, bob));
    const pusher = { ...(await pusherOf(bob)), owedUpTo: 7 };
    /** A turn in which it is not owed yet what was said. */
    const turn = async (unread: number) => {
      const progress = { upTo: 0, unread, mailedMs: 0, mailGapMs: 0 };
      await tellOverGateway(hs, pusher, { owed: [], reached: 7 }, progress);
      return progress;
    };
    expect(await turn(0)).toMatchObject({ upTo: 7, unread: 0 });
    expect(bob.told()).toEqual([]);
    expect(await turn(5)).toMatchObject({ upTo: 7, unread: 1 });
    expect(bob.told()).toMatchObject([{ counts: { unread: 1 } }]);
  });

  test("counts what another process has taken in, though nothing has been heard of that yet", async () => {
    const [alice, bob] = [await user("alice"), await user("bob")];
    const roomId = await roomOf(alice, bob);
    await say(alice, roomId);
    const pusher = await pusherOf(bob);
    expect(await unreadTotal(hs, pusher)).toBe(1);
    // As long as this process is about to write something itself it heeds no news.
    const heedAgain = tailOf(hs).expectOwn();
    await say(alice, roomId);
    const owedUpTo = await currentPosition(hs);
    expect(tailOf(hs).position).toBeLessThan(owedUpTo);
    const progress = { upTo: 0, unread: 1, mailedMs: 0, mailGapMs: 0 };
    const owed = await owedEvents(hs.sql, [{ ...pusher, owedUpTo }], 20);
    await tellOverGateway(hs, { ...pusher, owedUpTo }, { owed, reached: owedUpTo }, progress);
    heedAgain();
    expect(bob.told()).toMatchObject([{ counts: { unread: 2 } }, { counts: { unread: 2 } }]);
  });
});

/** A pusher of a user's that nobody runs. */
async function pusherOf({
  token,
  pushkey,
}: Pick<OwedPusher, "pushkey"> & { readonly token: string }): Promise<OwedPusher> {
  const userId = parseUserId((await ask("GET", "account/whoami", { token })).body.user_id);
  return {
    pusherKey: 0,
    userKey: await userKeyOf(hs, userId),
    userId,
    appId: "org.example",
    pushkey,
    kind: "http",
    lang: "en",
    data: JSON.stringify({ url: gateway.url }),
    setMs: 0,
    owedUpTo: 0,
    pushedUpTo: 0,
    toldUnread: 0,
    failures: 0,
    mailedMs: 0,
    mailGapMs: 0,
  };
}
