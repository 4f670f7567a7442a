import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { findEvents } from "../find-event.ts";
import { forkedRoom, inBatches, steps, USERS } from "../received/testing-forks.ts";
import { deliverBatch, RemoteRoom } from "../received/testing.ts";
import { sendEvent } from "../send-event.ts";
import { EventStatus } from "../stored-event.ts";
import { completeRoom } from "./complete-room.ts";
import { membersKnownWithin } from "./partial-rooms.ts";
import { abandonPartial, partialSince } from "./queries-partial.ts";
import {
  complete,
  enterPartially,
  expectTruth,
  membersFrom,
  serversThere,
  stateIds,
} from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

const enter = async (remote: RemoteRoom, basis: readonly EventId[]) =>
  await enterPartially(hs, remote, basis);

describe("a room that was joined without its members", () => {
  test.each(["2", "6", "11", "12"])(
    "is what it should be when they are known, whatever has happened meanwhile: version %s",
    async (version) => {
      await fc.assert(
        fc.asyncProperty(
          steps,
          fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 22, maxLength: 22 }),
          fc.nat(22),
          async (its, sizes, meanwhile) => {
            const { room: remote, basis, later } = forkedRoom(version, its);
            const { room, ...known } = await enter(remote, basis);
            const shuffle = later.map((_, index) => index);
            const batches = inBatches(later, { shuffle, sizes });
            for (const [index, batch] of batches.entries()) {
              if (index === meanwhile) {
                await complete(hs, room, remote, known);
              }
              await deliverBatch(index % 2 === 0 ? hs : other, room, remote, batch);
            }
            await complete(hs, room, remote, known);
            await expectTruth(hs, room, remote, { basis, later });
            expect(later).toHaveLength(its.length);
          },
        ),
        { numRuns: 8, endOnFailure: true },
      );
    },
    120_000,
  );

  test("lets its local members speak, by whatever process, and owes what they say to all who are there", async () => {
    const { room: remote, basis } = forkedRoom("12", []);
    const { room, joinId, state } = await enter(remote, basis);
    const local = await testUser(hs, "local");
    const draft = { type: "m.room.topic", state_key: "", content: { topic: "x" } };
    const say = (on: Homeserver, body: string) =>
      sendEvent(on, {
        sender: local,
        room,
        draft: { type: "m.room.message", content: { body } },
      });
    const first = await say(other, "one");
    await expect(sendEvent(hs, { sender: local, room, draft })).rejects.toThrow(/may not send/);
    const owed = await hs.sql`
      select from room_servers join events on since < event_key and until is null
      where events.event_id = ${first} and room_servers.room_key = ${room.roomKey}
        and server_name = any(${membersFrom}::text[])`;
    expect(owed).toHaveLength(2);

    await complete(hs, room, remote, { joinId, state });
    const second = await say(other, "two");
    const events = await findEvents(hs, [first, second]);
    const whole = new Map(remote.events.get(joinId)?.after);
    for (const id of [first, second]) {
      expect(await stateIds(hs, events.get(id)?.stateAfter ?? 0)).toEqual(whole);
    }
    const servers_ = await hs.sql<{ server_name: string; joined: number }[]>`
      select server_name, joined from room_servers
      where room_key = ${room.roomKey} and until is null order by server_name`;
    expect(servers_.map((it) => [it.server_name, it.joined])).toEqual([
      ["one.test", 1],
      ["three.test", 1],
      ["two.test", 1],
    ]);
    const left = await hs.sql`
      select from partial_rooms where room_key = ${room.roomKey}
      union all select from rooms where room_key = ${room.roomKey} and is_partial
      union all select from events where room_key = ${room.roomKey} and on_partial`;
    expect(left).toHaveLength(0);
  });

  test("owes what is said to a server of whose users one comes and goes, if others are said to be there", async () => {
    const { room: remote, basis } = forkedRoom("12", []);
    const { room, ...known } = await enter(remote, basis);
    let last = basis.at(-1) ?? "$";
    for (const server of ["one.test", "four.test"]) {
      for (const membership of ["join", "leave"]) {
        const user: UserId = `@passing:${server}`;
        const draft = { type: "m.room.member", state_key: user, content: { membership } };
        last = remote.add(user, draft, [last]);
        await deliverBatch(hs, room, remote, [last]);
      }
    }
    expect(await serversThere(hs, room)).toEqual(
      new Map([
        ["one.test", 0],
        ["two.test", 0],
      ]),
    );
    await complete(hs, room, remote, known);
    expect(await serversThere(hs, room)).toEqual(
      new Map([
        ["one.test", 1],
        ["two.test", 1],
        ["three.test", 1],
      ]),
    );
  });

  test("takes back what only lacked members have let pass, and lets pass what they have kept out", async () => {
    const { room: remote, basis } = forkedRoom("12", []);
    const before = basis.at(-2) ?? "$";
    const member = (user: UserId, membership: string) => ({
      type: "m.room.member",
      state_key: user,
      content: { membership },
    });
    // That bob has gone is not said by who tells us of the room without its members.
    const gone = remote.add("@bob:two.test", member("@bob:two.test", "leave"), [before]);
    const own = remote.add("@local:test", member("@local:test", "join"), [gone]);
    const { room, ...known } = await enter(remote, [...basis.slice(0, -1), gone, own]);
    const kick = remote.add("@bob:two.test", member("@carol:three.test", "leave"), [own], [before]);
    const draft = { type: "m.room.message", content: { body: "still here" } };
    const said = remote.add("@carol:three.test", draft, [kick]);
    const statuses = async () => {
      const found = await findEvents(hs, [kick, said]);
      return [kick, said].map((id) => found.get(id)?.status);
    };
    await deliverBatch(hs, room, remote, [kick, said]);
    expect(await statuses()).toEqual([EventStatus.accepted, EventStatus.rejected]);
    await complete(hs, room, remote, known);
    expect(await statuses()).toEqual([EventStatus.rejected, EventStatus.accepted]);
  });

  test("keeps what it was told of it at the join, whatever is told later beside its members", async () => {
    const remote = new RemoteRoom("12", "told-twice");
    const [creator, bob, , local] = USERS as [UserId, UserId, UserId, UserId];
    const member = (user: UserId) => ({
      type: "m.room.member",
      state_key: user,
      content: { membership: "join" },
    });
    const topic = (it: string) => ({
      type: "m.room.topic",
      state_key: "",
      content: { topic: it },
    });
    const begun = remote.begin(creator, {});
    const old = remote.add(creator, topic("old"), [begun]);
    const now = remote.add(creator, topic("now"), [old]);
    const joined = remote.add(local, member(local), [remote.add(bob, member(bob), [now])]);
    const basis = [...remote.events.keys()];
    const { room, ...known } = await enter(remote, basis);
    const state = known.state.map((id) => (id === now ? old : id));
    await complete(hs, room, remote, { ...known, state });
    await expectTruth(hs, room, remote, { basis, later: [joined] });
  });

  test("is redacted by what turns out to be part of it, and by nothing else", async () => {
    const remote = new RemoteRoom("12", "again");
    const [creator, bob, carol, local] = USERS as [UserId, UserId, UserId, UserId];
    const member = (user: UserId, membership: string) => ({
      type: "m.room.member",
      state_key: user,
      content: { membership },
    });
    let last = remote.begin(creator, { [carol]: 100 });
    for (const user of [bob, carol]) last = remote.add(user, member(user, "join"), [last]);
    const free = last;
    last = remote.add(creator, member(carol, "ban"), [last]);
    const joined = remote.add(local, member(local, "join"), [last]);
    // Who lacks the members cannot know that she is banned.
    const asBefore = (draft: EventDraft) => remote.add(carol, draft, [joined], [free]);
    const message = { type: "m.room.message", content: {} };
    const redacting = (redacts: EventId) => ({ type: "m.room.redaction", content: {}, redacts });
    const reacting = (content: Record<string, string>) => ({
      type: "m.reaction",
      content: { "m.relates_to": { rel_type: "m.annotation", event_id: joined, ...content } },
    });
    const regretted = remote.add(bob, message, [joined]);
    const reaction = remote.add(creator, reacting({ key: "+" }), [joined]);
    const kick = asBefore(member(bob, "leave"));
    const strayReaction = asBefore(reacting({ key: "-" }));
    const stray = asBefore(redacting(reaction));
    const lost = remote.add(creator, message, [joined]);
    const strayOfLost = asBefore(redacting(lost));
    const own = remote.add(bob, redacting(regretted), [regretted]);

    const basis = [...remote.events.keys()].slice(0, [...remote.events.keys()].indexOf(joined) + 1);
    const { room, ...known } = await enter(remote, basis);
    const come = [regretted, reaction, kick, strayReaction, stray, strayOfLost, own];
    await deliverBatch(hs, room, remote, come);
    const redactedNow = async (on: Homeserver) => {
      await tailOf(on).catchUp();
      const events = await findEvents(on, [...come, lost]);
      const ids = [regretted, reaction, lost];
      return ids.filter((id) => events.get(id)?.redactedBy !== undefined);
    };
    const reactions = async () =>
      await hs.sql<{ event_id: EventId }[]>`
        select event_id from relations join events using (event_key)
        where relates_to = ${joined}`.then((rows) => rows.map((it) => it.event_id));
    for (const on of [hs, other]) expect(await redactedNow(on)).toEqual([reaction]);
    expect(await reactions()).toEqual([strayReaction]);

    await complete(hs, room, remote, known);
    await deliverBatch(hs, room, remote, [lost]);
    for (const on of [hs, other]) expect(await redactedNow(on)).toEqual([regretted]);
    expect(await reactions()).toEqual([reaction]);
  });

  test("is waited for at the cost of one, however many wait", async () => {
    const remote = new RemoteRoom("12", "awaited");
    const [creator, , , local] = USERS as [UserId, UserId, UserId, UserId];
    const draft = { type: "m.room.member", state_key: local, content: { membership: "join" } };
    remote.add(local, draft, [remote.begin(creator)]);
    const { room, ...known } = await enter(remote, [...remote.events.keys()]);
    let asked = 0;
    const sql = new Proxy(hs.sql, {
      apply(target, self, args) {
        asked++;
        return Reflect.apply(target, self, args) as unknown;
      },
    });
    const own = { ...hs, sql };
    const begun = performance.now();
    const waiting = Promise.all(
      Array.from({ length: 50 }, async () => {
        return await membersKnownWithin(own, room.roomKey, { waitMs: 60_000 });
      }),
    );
    await expect.poll(() => asked).toBeGreaterThan(3);
    await completeRoom(hs, room, known);
    expect(new Set(await waiting)).toEqual(new Set([true]));
    // It is looked ten times a second, and a timer may be a little early.
    expect(asked).toBeLessThan(2 + (performance.now() - begun) / 90);
  });

  test("is neither completed nor given up by who was about an earlier join", async () => {
    const remote = new RemoteRoom("12", "rejoined");
    const [creator, , , local] = USERS as [UserId, UserId, UserId, UserId];
    const draft = { type: "m.room.member", state_key: local, content: { membership: "join" } };
    remote.add(local, draft, [remote.begin(creator)]);
    const { room, ...known } = await enter(remote, [...remote.events.keys()]);
    const isPartial = async () => {
      const [row] = await hs.sql<{ is_partial: boolean }[]>`
        select is_partial from rooms where room_key = ${room.roomKey}`;
      return [row?.is_partial, await partialSince(hs.sql, room.roomKey)];
    };
    const earlier: EventId = "$earlier";
    await completeRoom(hs, room, { joinId: earlier, state: known.state });
    await abandonPartial(hs.sql, room.roomKey, earlier);
    expect(await isPartial()).toEqual([true, known.joinId]);
    await abandonPartial(hs.sql, room.roomKey, known.joinId);
    expect(await isPartial()).toEqual([false, undefined]);
  });
});
