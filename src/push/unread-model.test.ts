import * as fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { NO_ROOM, setAccountData } from "#src/account-data/account-data.ts";
import { sendReceipt } from "#src/ephemeral/send-receipt.ts";
import type { ThreadId } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { forgetReadHighlights } from "./job-forget-read-highlights.ts";
import { countingHouse, inThread, mentions } from "./testing.ts";

const { house, hs, newUser, roomOf, say, redact, countsOf } = await countingHouse();
const [one, two] = house.all as [Homeserver, Homeserver];
afterAll(async () => await house.close());

/** What a member may do, and the kinds of events they may send. */
type Step =
  | { readonly does: "send"; readonly by: number; readonly kind: Kind; readonly thread: boolean }
  | { readonly does: "read"; readonly index: number; readonly how: "whole" | "thread" }
  | { readonly does: "redact"; readonly index: number };

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("send" as const),
      by: fc.constantFrom(0, 0, 1),
      kind: fc.constantFrom<Kind>("plain", "mention", "notice", "edit", "reaction"),
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

type Kind = "plain" | "mention" | "notice" | "edit" | "reaction";

const KINDS: Record<Kind, { notify: number; highlight: number }> = {
  plain: { notify: 1, highlight: 0 },
  mention: { notify: 1, highlight: 1 },
  notice: { notify: 0, highlight: 0 },
  edit: { notify: 0, highlight: 0 },
  reaction: { notify: 0, highlight: 0 },
};

type Said = { eventId: EventId; own: boolean; kind: Kind; thread: ThreadId };

/** A script as it is being played, and what a plain model says of it. */
type Play = {
  readonly room: Room;
  readonly alice: Requester;
  readonly bob: Requester;
  readonly root: EventId;
  readonly said: [Said, ...Said[]];
  /** By thread, or `whole`: the index of the last event that Bob has read. */
  readonly read: Map<string, number>;
  readonly redacted: Set<number>;
};

function markRead({ read }: Play, key: string, index: number): void {
  read.set(key, Math.max(read.get(key) ?? -1, index));
}

async function readUpTo(play: Play, step: Step & { does: "read" }, at: Homeserver): Promise<void> {
  const index = Math.min(step.index, play.said.length - 1);
  const { eventId, thread } = play.said[index] ?? play.said[0];
  const isWhole = step.how === "whole";
  const its = { room: play.room, eventId, ...(!isWhole && { thread }) };
  await sendReceipt(at, play.bob, "m.read", its);
  markRead(play, isWhole ? "whole" : thread, index);
}

async function redactOne(play: Play, { index }: { index: number }, at: Homeserver): Promise<void> {
  const { alice, room, said, redacted } = play;
  const which = Math.min(index, said.length - 1);
  await redact(alice, room, (said[which] ?? said[0]).eventId, at);
  redacted.add(which);
}

const REL_TYPES = new Map<Kind, string>([
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
  const target = said.findLast((it) => it.thread === wanted && !REL_TYPES.has(it.kind)) ?? said[0];
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
    const { notify, highlight } = KINDS[it.kind];
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
      const first: Said = { eventId: root, own: false, kind: "plain", thread: "main" };
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
