import { afterAll, describe, expect, test } from "vitest";
import { memberDraft } from "#src/events/testing.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { FOLLOWERS } from "#src/roles.ts";
import { redactEvent } from "#src/rooms/redact-event.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { runFollowers } from "#src/streams/run-followers.ts";
import { runOutbound } from "./run-outbound.ts";
import {
  putOff,
  QUICK,
  type Recorder,
  sharedRoom,
  WAIT,
  recordedFederation,
  taking,
} from "./testing.ts";

const { federation, hs1, one, two } = await recordedFederation({
  ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300",
});
afterAll(async () => await federation.close());

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix} ${index}`);

describe("what our users send", () => {
  test("goes to every server in the room, once and in order, from whichever process", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name, two.name]);
    const alone = await sharedRoom(hs1.hs, [two.name]);
    const bodies = numbered("both", 30);
    for (const [index, body] of bodies.entries()) await shared.say(body, hs1.all[index % 2]);
    await alone.say("apart");
    for (const it of [one, two]) {
      await expect.poll(() => taking(it, "both"), WAIT).toEqual(bodies);
    }
    await expect.poll(() => taking(two, "apart"), WAIT).toEqual(["apart"]);
    expect(taking(one, "apart")).toEqual([]);
    // What others had sent before, and our own join, went over the server that we joined by.
    const types = new Set(one.taken.flatMap((it) => it.body.pdus.map((pdu) => pdu["type"])));
    expect(types).toEqual(new Set(["m.room.message"]));
  });

  test("goes also to a server of which it was not known that it is in the room: the last of it", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name, two.name], "local", [one.name]);
    for (const body of ["unheard 0", "unheard 1"]) await shared.say(body);
    await expect.poll(() => taking(one, "unheard"), WAIT).toEqual(["unheard 0", "unheard 1"]);
    expect(taking(two, "unheard")).toEqual([]);
    await shared.tellMembers();
    // What that one follows it asks for.
    await expect.poll(() => taking(two, "unheard"), WAIT).toEqual(["unheard 1"]);
    await shared.say("unheard 2");
    await expect.poll(() => taking(two, "unheard"), WAIT).toEqual(["unheard 1", "unheard 2"]);
    const all = ["unheard 0", "unheard 1", "unheard 2"];
    await expect.poll(() => taking(one, "unheard"), WAIT).toEqual(all);
  });

  test("goes out also if it redacts what only they know", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    const redact = {
      requester: shared.local,
      room: shared.room,
      target: "$of-theirs" as EventId,
      content: {},
    };
    const transaction = { deviceKey: shared.local.deviceKey, txnId: "redaction" };
    const redaction = await redactEvent(hs1.hs, { ...redact, transaction });
    const redacting = () =>
      one.taken
        .flatMap((it) => it.body.pdus)
        .filter((it) => it.content["redacts"] === "$of-theirs");
    await expect.poll(() => redacting().length, WAIT).toBe(1);
    expect(redaction).toMatch(/^\$/);
    await sendEvent(hs1.hs, {
      sender: shared.local,
      room: shared.room,
      draft: {
        type: "m.room.power_levels",
        state_key: "",
        content: { users: { [shared.local.userId]: 49 }, state_default: 0 },
      },
    });
    const again = { ...redact, transaction: { ...transaction, txnId: "again" } };
    await expect(redactEvent(hs1.hs, again)).rejects.toThrow(/only what you sent/);
  });

  test("comes whole and in order after an outage, however long it was, of all rooms", async () => {
    const rooms = [
      await sharedRoom(hs1.hs, [one.name]),
      await sharedRoom(hs1.hs, [one.name, two.name]),
      await sharedRoom(hs1.hs, [one.name]),
    ];
    one.mode = "down";
    const bodies = numbered("missed", 130);
    for (const [index, body] of bodies.entries()) await rooms[index % 3]?.say(body);
    await expect.poll(() => taking(two, "missed").length, WAIT).toBe(43);
    expect(taking(one, "missed")).toEqual([]);
    one.mode = "up";
    await expect.poll(() => taking(one, "missed"), WAIT).toEqual(bodies);
    expect(Math.max(...one.taken.map((it) => it.body.pdus.length))).toBe(50);
  });

  test("is tried again when its time has come, also before anybody has marked it as owed", async () => {
    const { hs } = await federation.open({
      host: "hs2.test",
      isSilent: true,
      variables: { ARCHIPEL_FEDERATION_MAX_RETRY_WAIT_MS: "300" },
    });
    const shared = await sharedRoom(hs, [one.name]);
    void runOutbound(hs, { ...QUICK, lookMs: 600_000 });
    one.mode = "failing";
    const before = one.transactions.length;
    await shared.say("unmarked");
    // Twice: the second time it is looked for at the wait that the first has left.
    await expect.poll(() => one.transactions.length, WAIT).toBeGreaterThan(before + 1);
    one.mode = "up";
    await expect.poll(() => taking(one, "unmarked"), WAIT).toEqual(["unmarked"]);
  }, 60_000);

  test("is sent again as it was, with its ID, if nobody knows whether it arrived", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    one.mode = "mute";
    const first = one.transactions.length;
    await shared.say("perhaps 0");
    await expect.poll(() => one.transactions.length, WAIT).toBeGreaterThan(first);
    await shared.say("perhaps 1");
    one.mode = "up";
    await expect.poll(() => taking(one, "perhaps"), WAIT).toEqual(["perhaps 0", "perhaps 1"]);
    const [lost, ...later] = one.transactions.slice(first);
    const again = later.filter((it) => it.txnId === lost?.txnId);
    expect(again.length).toBeGreaterThan(0);
    for (const it of again) expect(it.body).toEqual(lost?.body);
    const ids = one.taken.map((it) => it.txnId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test("is sent at once to a server that was given up for long when it is heard of, in any process", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    one.mode = "failing";
    await shared.say("heard 0");
    await expect.poll(async () => await putOff(hs1.hs, one), WAIT).toBe(1);
    one.mode = "up";
    await new Promise((resolve) => setTimeout(resolve, 3 * QUICK.lookMs));
    expect(taking(one, "heard")).toEqual([]);
    // Again, should the process not have seen yet that it is to wait.
    const heard = async () => {
      const answer = await hs1.all[1]?.remotes.getVersion(one.name, {});
      expect(answer?.ok).toBe(true);
      return taking(one, "heard");
    };
    await expect.poll(heard, { ...WAIT, interval: 200 }).toEqual(["heard 0"]);
    const failures = async () =>
      (await hs1.hs.sql`select failures from destinations where server_name = ${one.name}`)[0];
    await expect.poll(failures, WAIT).toEqual({ failures: 0 });
  });
});

describe("what a server refuses", () => {
  test("does not keep it from what else it is owed", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    one.mode = "down";
    const bodies = [...numbered("good", 3), "poison", ...numbered("better", 3)];
    for (const body of bodies) await shared.say(body);
    one.refuses = (text) => text.includes('"poison"');
    one.mode = "up";
    await expect.poll(() => taking(one, "better"), WAIT).toEqual(numbered("better", 3));
    expect(taking(one, "good")).toEqual(numbered("good", 3));
    expect(taking(one, "poison")).toEqual([]);
    one.refuses = () => false;
    await shared.say("good as ever");
    await expect.poll(() => taking(one, "good as"), WAIT).toEqual(["good as ever"]);
    expect(taking(one, "good").length).toBe(4);
  });

  test("is kept for it if it refuses everything", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    one.refuses = () => true;
    const before = one.transactions.length;
    for (const body of numbered("refused", 3)) await shared.say(body);
    await expect.poll(() => one.transactions.length, WAIT).toBeGreaterThan(before + 3);
    one.refuses = () => false;
    // It may have become well again in the middle of something.
    const all = () => new Set(taking(one, "refused"));
    await expect.poll(all, WAIT).toEqual(new Set(numbered("refused", 3)));
  });
});

describe("what a server that was ill has refused", () => {
  test("is not passed over when it becomes well in the middle", async () => {
    const shared = await sharedRoom(hs1.hs, [one.name]);
    one.mode = "down";
    for (const body of numbered("cured", 3)) await shared.say(body);
    let requests = 0;
    // All of them, and the first by itself.
    one.refuses = () => ++requests <= 2;
    one.mode = "up";
    const all = () => new Set(taking(one, "cured"));
    await expect.poll(all, WAIT).toEqual(new Set(numbered("cured", 3)));
    one.refuses = () => false;
  });
});

describe("what others send", () => {
  test("is not sent on, but for what was brought to us alone", async () => {
    const shared = await sharedRoom(hs1.hs, [two.name, one.name]);
    const [creator = "@a:b"] = shared.members;
    const newcomer: UserId = `@newcomer:${two.name}`;
    const before = one.taken.length;
    const beforeTwo = two.taken.length;
    await shared.receive(creator, { type: "m.room.message", content: { body: "of others" } });
    await shared.receive(newcomer, memberDraft(newcomer, "join"), { isRelayed: true });
    await shared.say("not of others");
    const sent = (by: Recorder, after: number) =>
      by.taken
        .slice(after)
        .flatMap((it) => it.body.pdus)
        .map((it) => it["state_key"] ?? it.content["body"]);
    await expect.poll(() => sent(one, before), WAIT).toEqual([newcomer, "not of others"]);
    await expect.poll(() => sent(two, beforeTwo), WAIT).toEqual(["not of others"]);
  });
});

describe("processes", () => {
  test("take over from one that has died, when its lease ends", async () => {
    const { hs } = await federation.open({ host: "hs2.test", isSilent: true });
    const shared = await sharedRoom(hs, [one.name]);
    // From here on: what is said first may take long.
    const begun = performance.now();
    await hs.sql`
      insert into destinations (server_name, taken_up_to, owed_up_to, holder, leased_until_ms)
      values (${one.name}, 0, 0, 'dead', (extract(epoch from clock_timestamp()) * 1000)::bigint + 1500)`;
    const bodies = numbered("handed over", 4);
    for (const body of bodies) await shared.say(body);
    void runFollowers(hs, FOLLOWERS);
    void runOutbound(hs, QUICK);
    await expect.poll(() => taking(one, "handed"), WAIT).toEqual(bodies);
    expect(performance.now() - begun).toBeGreaterThan(1_000);
  });

  test("send after a start what was sent to rooms before a crash, and nothing that was taken", async () => {
    const hs3 = await federation.open({ host: "hs3.test", isSilent: true });
    const shared = await sharedRoom(hs3.hs, [one.name]);
    const bodies = numbered("before the crash", 70);
    for (const body of bodies) await shared.say(body);
    expect(taking(one, "before the crash")).toEqual([]);
    void runFollowers(hs3.hs, FOLLOWERS);
    void runOutbound(hs3.hs, QUICK);
    await expect.poll(() => taking(one, "before the crash"), WAIT).toEqual(bodies);
    const owed = async () =>
      (await hs3.hs.sql`select from destinations where owed_up_to > taken_up_to`).length;
    await expect.poll(owed, WAIT).toBe(0);
  });
});
