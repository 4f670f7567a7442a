import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { NO_ROOM, setAccountData } from "#src/account-data/account-data.ts";
import { sendReceipt } from "#src/ephemeral/send-receipt.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { ThreadId } from "#src/events/threads.ts";
import { defineFilter } from "#src/filters/stored-filters.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { banUser } from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { changeRule, putRule } from "#src/push-rules/change-push-rules.ts";
import { changePushRules } from "#src/push-rules/stored-push-rules.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { requireJoined } from "#src/rooms/memberships.ts";
import { redactEvent } from "#src/rooms/redact-event.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { forgetSettings } from "./forget-settings.ts";
import { forgetReadHighlights } from "./job-forget-read-highlights.ts";
import { unreadSection } from "./sync-section.ts";
import { unreadCounts } from "./unread-counts.ts";

const house = await testHomeservers(2);
const { hs } = house;
const [one, two] = house.all as [Homeserver, Homeserver];
afterAll(async () => await house.close());

let made = 0;
const newUser = async (name: string) => await testUser(hs, `${name}${++made}`);

async function roomOf(creator: Requester, ...others: readonly Requester[]): Promise<Room> {
  const roomId = await createRoom(hs, creator, { preset: "public_chat" });
  for (const it of others) await joinRoom(hs, it, roomId);
  return await requireJoined(hs, creator, roomId);
}

const say = async (
  sender: Requester,
  room: Room,
  its: { type?: string; content?: object; at?: Homeserver } = {},
): Promise<EventId> => {
  const { type = "m.room.message", content = {}, at = hs } = its;
  const draft = { type, content: { body: "hello there", msgtype: "m.text", ...content } };
  return await sendEvent(at, { sender, room, draft: draft as unknown as EventDraft });
};

const redact = async (requester: Requester, room: Room, target: EventId, at = hs) => {
  const transaction = { deviceKey: requester.deviceKey ?? 0, txnId: `${++made}` };
  await redactEvent(at, { requester, room, target, content: {}, transaction });
};

/** Counts by thread as seen by each process, which must agree. */
async function countsOf(user: Requester, room: Room): Promise<Record<string, [number, number]>> {
  const rooms = new Map([[room.roomKey, room.roomId]]);
  const seen = [];
  for (const process of house.all) {
    await tailOf(process).catchUp();
    const counts = (await unreadCounts(process, user, rooms)).get(room.roomKey);
    const entries = [...(counts ?? [])].map(([thread, it]) => [thread, [it.notify, it.highlight]]);
    seen.push(Object.fromEntries(entries) as Record<string, [number, number]>);
  }
  expect(seen[0]).toEqual(seen[1]);
  return seen[0] ?? {};
}

const inThread = (root: EventId) => ({ "m.relates_to": { rel_type: "m.thread", event_id: root } });
const mentions = (user: Requester) => ({ "m.mentions": { user_ids: [user.userId] } });

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

/** What a member may do, and the kinds of events they may send. */
type Step =
  | { readonly does: "send"; readonly by: number; readonly kind: string; readonly thread: boolean }
  | { readonly does: "read"; readonly index: number; readonly how: "whole" | "thread" }
  | { readonly does: "redact"; readonly index: number };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("send" as const),
      by: fc.constantFrom(0, 0, 1),
      kind: fc.constantFrom("plain", "mention", "notice", "edit", "reaction"),
      thread: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant("read" as const),
      index: fc.nat(20),
      how: fc.constantFrom("whole" as const, "thread" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constant("redact" as const), index: fc.nat(20) }),
  },
);

const KINDS: Record<string, { notify: number; highlight: number }> = {
  plain: { notify: 1, highlight: 0 },
  mention: { notify: 1, highlight: 1 },
  notice: { notify: 0, highlight: 0 },
  edit: { notify: 0, highlight: 0 },
  reaction: { notify: 0, highlight: 0 },
};

/** A script as it is being played, and what a plain model says of it. */
type Play = {
  readonly room: Room;
  readonly alice: Requester;
  readonly bob: Requester;
  readonly root: EventId;
  readonly said: { eventId: EventId; own: boolean; kind: string; thread: ThreadId }[];
  /** By thread, or `whole`: the index of the last event that Bob has read. */
  readonly read: Map<string, number>;
  readonly redacted: Set<number>;
};

function markRead({ read }: Play, key: string, index: number): void {
  read.set(key, Math.max(read.get(key) ?? -1, index));
}

async function readUpTo(play: Play, step: Step & { does: "read" }, at: Homeserver): Promise<void> {
  const index = Math.min(step.index, play.said.length - 1);
  const { eventId, thread } = play.said[index]!;
  const isWhole = step.how === "whole";
  const its = { room: play.room, eventId, ...(!isWhole && { thread }) };
  await sendReceipt(at, play.bob, "m.read", its);
  markRead(play, isWhole ? "whole" : thread, index);
}

async function redactOne(play: Play, { index }: { index: number }, at: Homeserver): Promise<void> {
  const { alice, room, said, redacted } = play;
  const which = Math.min(index, said.length - 1);
  await redact(alice, room, said[which]!.eventId, at);
  redacted.add(which);
}

const REL_TYPES = new Map([
  ["edit", "m.replace"],
  ["reaction", "m.annotation"],
]);

async function sendOne(play: Play, step: Step & { does: "send" }, at: Homeserver): Promise<void> {
  const { kind } = step;
  const { alice, bob, room, root, said } = play;
  const own = step.by === 1;
  const relType = REL_TYPES.get(kind);
  const wanted = step.thread ? root : "main";
  // Not to what refers to something itself: of such chains only so much is followed.
  const target = said.findLast((it) => it.thread === wanted && !REL_TYPES.has(it.kind)) ?? said[0]!;
  const thread = relType === undefined ? wanted : target.thread;
  const relation = { rel_type: relType, event_id: target.eventId, key: `${said.length}` };
  const content = {
    ...(kind === "mention" && mentions(bob)),
    ...(kind === "notice" && { msgtype: "m.notice" }),
    ...(step.thread && inThread(root)),
    ...(relType !== undefined && { "m.relates_to": relation }),
  };
  const type = kind === "reaction" ? "m.reaction" : "m.room.message";
  const eventId = await say(own ? bob : alice, room, { type, content, at });
  said.push({ eventId, own, kind, thread });
  if (own && relType === undefined) markRead(play, thread, said.length - 1);
}

function expectedOf({ said, read, redacted }: Play): Record<string, [number, number]> {
  const expected: Record<string, [number, number]> = {};
  for (const [index, it] of said.entries()) {
    const isRead = index <= Math.max(read.get("whole") ?? -1, read.get(it.thread) ?? -1);
    const { notify, highlight } = KINDS[it.kind]!;
    if (it.own || isRead || redacted.has(index) || notify === 0) continue;
    const [n, h] = expected[it.thread] ?? [0, 0];
    expected[it.thread] = [n + notify, h + highlight];
  }
  return expected;
}

test("counters, rules and a plain model agree, whatever is said and read in whatever order", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 4, maxLength: 14 }), async (script) => {
      const [alice, bob] = [await newUser("alice"), await newUser("bob")];
      const room = await roomOf(alice, bob);
      const root = await say(alice, room);
      const first = { eventId: root, own: false, kind: "plain", thread: "main" as const };
      const play: Play = {
        room,
        alice,
        bob,
        root,
        said: [first],
        read: new Map(),
        redacted: new Set(),
      };
      for (const [index, step] of script.entries()) {
        const at = index % 2 ? one : two;
        if (step.does === "read") await readUpTo(play, step, at);
        else if (step.does === "redact") await redactOne(play, step, at);
        else await sendOne(play, step, at);
      }
      const expected = expectedOf(play);
      expect(await countsOf(bob, room)).toEqual(expected);

      // What is read may go, and nothing else.
      await forgetReadHighlights.run(hs, hs.stopping);
      // Whoever ignores somebody is counted by the rules.
      const ignoring = { ignored_users: { "@nobody:test": {} } };
      await setAccountData(hs, bob, NO_ROOM, { type: "m.ignored_user_list", content: ignoring });
      expect(await countsOf(bob, room)).toEqual(expected);
    }),
    { numRuns: 12 },
  );
}, 60_000);
