import { afterAll, describe, expect, test } from "vitest";
import { NO_ROOM, setAccountData } from "#src/account-data/account-data.ts";
import { sendReceipt } from "#src/ephemeral/send-receipt.ts";
import { defineFilter } from "#src/filters/stored-filters.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { banUser } from "#src/membership/change-members.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { changeRule, putRule } from "#src/push-rules/change-push-rules.ts";
import { changePushRules } from "#src/push-rules/stored-push-rules.ts";
import { tailOf } from "#src/streams/tail.ts";
import { forgetSettings } from "./forget-settings.ts";
import { forgetReadHighlights } from "./job-forget-read-highlights.ts";
import { roomUnreadsOf } from "./room-unreads.ts";
import { unreadSection } from "./sync-section.ts";
import { countingHouse, inThread, mentions } from "./testing.ts";
import { unreadCounts } from "./unread-counts.ts";

const { house, hs, newUser, roomOf, say, redact, countsOf } = await countingHouse();
const [one, two] = house.all as [Homeserver, Homeserver];
afterAll(async () => await house.close());

describe("unread counts", () => {
  test("begin when one joins, and end with a receipt or an event of one's own", async () => {
    const [alice, bob] = [await newUser("alice"), await newUser("bob")];
    const room = await roomOf(alice);
    const before = await say(alice, room);
    await say(alice, room, { content: inThread(before) });
    await joinRoom(hs, bob, room.roomId);
    expect(await countsOf(bob, room)).toEqual({});
    await say(alice, room);
    const last = await say(alice, room, { content: mentions(bob) });
    expect(await countsOf(bob, room)).toEqual({ main: [2, 1] });
    expect(await countsOf(alice, room)).toEqual({});
    await sendReceipt(two, bob, "m.read.private", { room, eventId: last });
    expect(await countsOf(bob, room)).toEqual({});
    await say(alice, room);
    await say(bob, room, { at: two });
    expect(await countsOf(bob, room)).toEqual({});
    expect(await countsOf(alice, room)).toEqual({ main: [1, 0] });
  });

  test("tell an edit that mentions somebody to that one alone", async () => {
    const [alice, bob, carol] = [await newUser("a"), await newUser("b"), await newUser("c")];
    const room = await roomOf(alice, bob, carol);
    const first = await say(alice, room);
    for (const it of [bob, carol]) await sendReceipt(hs, it, "m.read", { room, eventId: first });
    const edit = { "m.relates_to": { rel_type: "m.replace", event_id: first }, ...mentions(bob) };
    await say(alice, room, { content: edit });
    expect(await countsOf(bob, room)).toEqual({ main: [1, 1] });
    expect(await countsOf(carol, room)).toEqual({});
  });

  test("are not read anew because something is redacted", async () => {
    const [alice, bob] = [await newUser("alice"), await newUser("bob")];
    const room = await roomOf(alice, bob);
    const root = await say(alice, room);
    const said = [
      await say(alice, room),
      await say(alice, room, { content: inThread(root) }),
      await say(alice, room),
      await say(alice, room, { type: "m.reaction" }),
      await say(alice, room, { content: inThread(root) }),
    ];
    expect(await countsOf(bob, room)).toEqual({ main: [3, 0], [root]: [2, 0] });
    const counted = await roomUnreadsOf(hs, [room.roomKey]);
    for (const eventId of said.slice(0, 4).reverse()) await redact(alice, room, eventId);
    expect((await roomUnreadsOf(hs, [room.roomKey]))[0]).toBe(counted[0]);
    expect(await countsOf(bob, room)).toEqual({ main: [1, 0], [root]: [1, 0] });
  });

  test("leave out what is redacted, in the main timeline and in threads", async () => {
    const [alice, bob] = [await newUser("a"), await newUser("b")];
    const room = await roomOf(alice, bob);
    const root = await say(alice, room);
    const [plain, mention] = [
      await say(alice, room),
      await say(alice, room, { content: mentions(bob) }),
    ];
    const first = await say(alice, room, { content: inThread(root) });
    const last = await say(alice, room, { content: inThread(root) });
    const notice = await say(alice, room, { content: { msgtype: "m.notice" } });
    expect(await countsOf(bob, room)).toEqual({ main: [3, 1], [root]: [2, 0] });
    for (const eventId of [plain, last, notice]) await redact(alice, room, eventId, two);
    expect(await countsOf(bob, room)).toEqual({ main: [2, 1], [root]: [1, 0] });
    // As one reads a thread whose last event is redacted.
    await sendReceipt(one, bob, "m.read", { room, eventId: first, thread: root });
    expect(await countsOf(bob, room)).toEqual({ main: [2, 1] });
    await redact(alice, room, mention);
    expect(await countsOf(bob, room)).toEqual({ main: [1, 0] });
    await redact(alice, room, root);
    expect(await countsOf(bob, room)).toEqual({});
    await say(alice, room);
    expect(await countsOf(bob, room)).toEqual({ main: [1, 0] });
  });

  test("leave out what somebody said who is removed with all that", async () => {
    const [alice, bob, carol] = [await newUser("a"), await newUser("b"), await newUser("c")];
    const room = await roomOf(alice, bob, carol);
    const root = await say(alice, room);
    await say(carol, room);
    await say(carol, room, { content: inThread(root) });
    expect(await countsOf(bob, room)).toEqual({ main: [2, 0], [root]: [1, 0] });
    await banUser(one, alice, { roomId: room.roomId, target: carol.userId, redactEvents: true });
    await expect
      .poll(async () => await countsOf(bob, room), { timeout: 20_000 })
      .toEqual({ main: [1, 0] });
  });

  test("are the same for all who ask at the same moment", async () => {
    const [alice, bob] = [await newUser("a"), await newUser("b")];
    const room = await roomOf(alice, bob);
    const rooms = new Map([[room.roomKey, room.roomId]]);
    for (let highlights = 1; highlights <= 3; highlights++) {
      await unreadCounts(hs, bob, rooms);
      await say(alice, room, { content: mentions(bob) });
      await tailOf(hs).catchUp();
      const all = await Promise.all([1, 2, 3].map(async () => await unreadCounts(hs, bob, rooms)));
      const seen = all.map((counts) => counts.get(room.roomKey)?.get("main")?.highlight);
      expect(seen).toEqual([highlights, highlights, highlights]);
    }
  });

  test("leave nothing out of more than is looked at, where somebody's own rules count", async () => {
    const [alice, bob, carol] = [await newUser("a"), await newUser("b"), await newUser("c")];
    const room = await roomOf(alice, bob);
    const ignored_users = { [carol.userId]: {} };
    const about = { type: "m.ignored_user_list", content: { ignored_users } };
    await setAccountData(hs, bob, NO_ROOM, about);
    await say(alice, room);
    expect(await countsOf(bob, room)).toEqual({ main: [1, 0] });
    await Promise.all(Array.from({ length: 600 }, async () => await say(alice, room)));
    expect(await countsOf(bob, room)).toEqual({ main: [601, 0] });
  });

  test("of everyone are raised by those who may notify the room", async () => {
    const [alice, bob] = [await newUser("a"), await newUser("b")];
    const room = await roomOf(alice, bob);
    await say(bob, room, { content: { "m.mentions": { room: true } } });
    await say(alice, room, { content: { "m.mentions": { room: true } } });
    expect(await countsOf(bob, room)).toEqual({ main: [1, 1] });
    expect(await countsOf(alice, room)).toEqual({});
  });

  test("forget highlights that are read, whatever characters the events have", async () => {
    const [alice, bob] = [await newUser("alice"), await newUser("bob")];
    const room = await roomOf(alice, bob);
    // JSON has it, and no value of the database's own JSON can.
    const content = { body: "no\u0000thing", ...mentions(bob) };
    const eventId = await say(alice, room, { content });
    await sendReceipt(hs, bob, "m.read", { room, eventId });
    await forgetReadHighlights.run(hs, hs.stopping);
    expect(await hs.sql`select * from highlights where room_key = ${room.roomKey}`).toEqual([]);
  });

  test("follow the rules of those who have their own, from the moment they have", async () => {
    const [alice, bob] = [await newUser("a"), await newUser("b")];
    const room = await roomOf(alice, bob);
    await say(alice, room);
    await say(alice, room, { content: { body: "there is cake" } });
    expect(await countsOf(bob, room)).toEqual({ main: [2, 0] });
    const keyword = { actions: ["notify", { set_tweak: "highlight" }], pattern: "cake" };
    await changePushRules(one, bob.userKey, (rules) =>
      putRule(rules, { kind: "content", ruleId: "cake" }, keyword),
    );
    expect(await countsOf(bob, room)).toEqual({ main: [2, 1] });
    await changePushRules(two, bob.userKey, (rules) =>
      putRule(rules, { kind: "room", ruleId: room.roomId }, { actions: [] }),
    );
    expect(await countsOf(bob, room)).toEqual({ main: [1, 1] });
    await say(alice, room, { content: { body: "more cake" } });
    await say(alice, room, { content: mentions(bob) });
    expect(await countsOf(bob, room)).toEqual({ main: [3, 3] });
    const master = { kind: "override", ruleId: ".m.rule.master" } as const;
    await changePushRules(one, bob.userKey, (rules) =>
      changeRule(bob.userId, rules, master, { enabled: true }),
    );
    expect(await countsOf(bob, room)).toEqual({});
  });

  test("leave out those whom one ignores", async () => {
    const [alice, bob, carol] = [await newUser("a"), await newUser("b"), await newUser("c")];
    const room = await roomOf(alice, bob, carol);
    await say(alice, room);
    await say(carol, room);
    const content = { ignored_users: { [carol.userId]: {} } };
    await setAccountData(hs, bob, NO_ROOM, { type: "m.ignored_user_list", content });
    expect(await countsOf(bob, room)).toEqual({ main: [1, 0] });
  });

  test("go with the account, with all else that its user has set", async () => {
    const [alice, bob] = [await newUser("a"), await newUser("b")];
    const room = await roomOf(alice, bob);
    await say(alice, room, { content: mentions(bob) });
    await setAccountData(hs, bob, NO_ROOM, { type: "org.example", content: {} });
    await defineFilter(hs, bob.userKey, {});
    await changePushRules(hs, bob.userKey, (rules) => rules);
    await forgetSettings(hs, bob.userKey);
    for (const table of ["account_data", "filters", "push_rules", "room_reads", "highlights"]) {
      const { userKey } = bob;
      expect(await hs.sql`select from ${hs.sql(table)} where user_key = ${userKey}`).toHaveLength(
        0,
      );
    }
  });

  test("are told by sync with and without threads", async () => {
    const [alice, bob] = [await newUser("a"), await newUser("b")];
    const room = await roomOf(alice, bob);
    const root = await say(alice, room);
    await say(alice, room, { content: inThread(root) });
    const read = async (unread_thread_notifications: boolean) => {
      const answer = await unreadSection.read(
        hs,
        {
          requester: bob,
          filter: { room: { timeline: { unread_thread_notifications } } },
          rooms: new Map([[room.roomKey, room.roomId]]),
          newRooms: new Set(),
          changes: undefined,
        },
        { after: 0, upTo: tailOf(hs).position },
      );
      return answer.rooms?.get(room.roomKey)?.other;
    };
    const count = (n: number) => ({ notification_count: n, highlight_count: 0 });
    expect(await read(false)).toEqual({ unread_notifications: count(2) });
    expect(await read(true)).toMatchObject({
      unread_notifications: count(1),
      unread_thread_notifications: { [root]: count(1) },
    });
  });
});
