import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { signEvent } from "#src/events/event-signatures.ts";
import { type StateKey, stateKeyOf, type WireEvent } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { KeyLookup, RawPdu } from "#src/homeserver/remotes.ts";
import type { EventId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { parseVerifyKey, signingKeyFromSeed } from "#src/kit/signed-json.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import type { Sources } from "#src/rooms/holes/sources.ts";
import { ensureRoom } from "#src/rooms/received/ensure-room.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { redactEvent } from "#src/rooms/redact-event.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { receivePdus } from "./receive-pdu.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";
const BOB: UserId = "@bob:two.test";
const origin = "one.test" as ServerName;

/** The keys with which the servers of a `RemoteRoom` sign; of the others none are found. */
const keys: KeyLookup = async (questions) =>
  new Map(
    questions.map(({ server }) => {
      const base64 = Buffer.from(
        signingKeyFromSeed("ed25519:1", Buffer.alloc(32, server)).publicKey,
      ).toString("base64");
      const key = parseVerifyKey("ed25519:1", base64);
      if (!key) throw new Error("no key");
      return [
        server,
        new Map([["ed25519:1", { ...key, base64, isOld: false, validUntilTs: 2 ** 50 }]]),
      ];
    }),
  );

/** A server that has all of a room, or all but some events, and answers as the specification says. */
function serverOf(
  room: RemoteRoom,
  { hidden = new Set<EventId>() }: { hidden?: ReadonlySet<EventId> } = {},
): Sources["remotes"] & { readonly asked: string[] } {
  const asked: string[] = [];
  const raw = (id: EventId): RawPdu[] => {
    const built = room.events.get(id)?.built;
    return built && !hidden.has(id) ? [JSON.parse(built.json) as RawPdu] : [];
  };
  const ok = <T>(name: string, body: T) => {
    asked.push(name);
    return { ok: true as const, body };
  };
  const chainOf = (ids: Iterable<EventId>): Set<EventId> => {
    const chain = new Set<EventId>();
    const left = [...ids];
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      for (const cited of room.graph.events.get(id)?.auth_events ?? []) {
        if (!chain.has(cited)) left.push(cited);
        chain.add(cited);
      }
    }
    return chain;
  };
  return {
    asked,
    async getMissingPreviousEvents(_server, { earliest_events, latest_events, limit }) {
      const found = new Set<EventId>();
      const left = [...latest_events];
      for (let id = left.shift(); id !== undefined && found.size < limit; id = left.shift()) {
        for (const prev of room.graph.events.get(id)?.prev_events ?? []) {
          if (earliest_events.includes(prev) || found.has(prev) || hidden.has(prev)) continue;
          found.add(prev);
          left.push(prev);
        }
      }
      return ok("missing", { events: [...found].slice(0, limit).reverse().flatMap(raw) });
    },
    async getEventAuth(_server, { eventId }) {
      return ok("auth", { auth_chain: [...chainOf([eventId])].flatMap(raw) });
    },
    async getRoomStateIds(_server, { eventId }) {
      const pdu_ids = [...(room.events.get(eventId)?.before.values() ?? [])];
      return ok("stateIds", { pdu_ids, auth_chain_ids: [...chainOf(pdu_ids)] });
    },
    async getRoomState(_server, { eventId }) {
      const ids = [...(room.events.get(eventId)?.before.values() ?? [])];
      return ok("state", { pdus: ids.flatMap(raw), auth_chain: [...chainOf(ids)].flatMap(raw) });
    },
    async getEvent(_server, { eventId }) {
      return ok("event", { origin_server_ts: 0, pdus: raw(eventId) });
    },
    async backfillRoom(_server, { from }) {
      return ok("backfill", { pdus: from.flatMap(raw) });
    },
  };
}

/** Servers that cannot be reached. */
const unreachable = async () => ({ ok: false as const, why: "unreachable" as const, cause: 0 });
const nobody: Sources["remotes"] = {
  getMissingPreviousEvents: unreachable,
  getEventAuth: unreachable,
  getRoomStateIds: unreachable,
  getRoomState: unreachable,
  getEvent: unreachable,
  backfillRoom: unreachable,
};

let rooms = 0;

async function begun(version = "12") {
  const remote = new RemoteRoom(version, `pdu${rooms++}`);
  let last = remote.begin(CREATOR);
  last = remote.add(
    BOB,
    { type: "m.room.member", state_key: BOB, content: { membership: "join" } },
    [last],
  );
  if (remote.roomId === undefined) throw new Error("no room");
  const room = await ensureRoom(hs, remote.roomId, remote.rules);
  await receiveEvents(
    hs,
    room,
    [...remote.events.keys()].map((id) => remote.received(id)),
  );
  return { remote, room, last };
}

const say = (body: string) => ({ type: "m.room.message", content: { body } });
const topic = (text: string) => ({ type: "m.room.topic", state_key: "", content: { topic: text } });

function wireOf(remote: RemoteRoom, id: EventId): Record<string, unknown> {
  return JSON.parse(remote.received(id).json) as Record<string, unknown>;
}

describe("PDUs", () => {
  test.each(["1", "5", "11", "12"])("are taken into a room of version %s", async (version) => {
    const { remote, room, last } = await begun(version);
    const id = remote.add(BOB, say("hello"), [last]);
    const options = { origin, keys, remotes: serverOf(remote) };
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, id)], options);
    expect(receipts.get(id)).toEqual({ outcome: "accepted" });
    expect(options.remotes.asked).toEqual([]);
    const again = await receivePdus(hs, room, [wireOf(remote, id)], options);
    expect(again.receipts.get(id)).toMatchObject({ outcome: "known" });
  });

  test("are dropped if they are none, or not signed by their sender's server", async () => {
    const { remote, room, last } = await begun();
    const id = remote.add(BOB, say("hello"), [last]);
    const wire = wireOf(remote, id);
    const forged = { ...wire, sender: "@mallory:three.test" };
    const bare = { ...wire, signatures: {} };
    const named = { ...wire, type: "a\0b" };
    const its = [forged, bare, named, 7, null, { ...wire, depth: -1 }, [wire]];
    const { dropped, receipts } = await receivePdus(hs, room, its, {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(dropped.map((it) => it.check)).toEqual([2, 2, 1, 1, 1, 1, 1]);
    expect(receipts.size).toBe(0);
    expect((await findEvents(hs, [id])).size).toBe(0);
  });

  test("are not rejected for want of the key of who authorised a join", async () => {
    const { remote, room, last } = await begun();
    const join = { membership: "join", join_authorised_via_users_server: CREATOR };
    const restricted = {
      type: "m.room.join_rules",
      state_key: "",
      content: { join_rule: "restricted" },
    };
    const rules = remote.add(CREATOR, restricted, [last]);
    const user: UserId = "@new:three.test";
    const id = remote.add(user, { type: "m.room.member", state_key: user, content: join }, [rules]);
    const unsigned = wireOf(remote, id);
    const key = signingKeyFromSeed("ed25519:1", Buffer.alloc(32, origin));
    const signed = signEvent(unsigned as WireEvent, remote.rules, origin, key);
    const options = { origin, remotes: serverOf(remote), keys };
    const lost: KeyLookup = async (asked) => await keys(asked.filter((it) => it.server !== origin));

    await receivePdus(hs, room, [wireOf(remote, rules)], options);
    const unheard = await receivePdus(hs, room, [signed], { ...options, keys: lost });
    expect(unheard.dropped).toMatchObject([{ check: 2, eventId: id }]);
    const { receipts } = await receivePdus(hs, room, [signed], options);
    expect(receipts.get(id)).toEqual({ outcome: "accepted" });

    const other = await begun();
    const otherRules = other.remote.add(CREATOR, restricted, [other.last]);
    const draft = { type: "m.room.member", state_key: user, content: join };
    const never = other.remote.add(user, draft, [otherRules]);
    const its = [otherRules, never].map((it) => wireOf(other.remote, it));
    const taken = await receivePdus(hs, other.room, its, options);
    expect(taken.receipts.get(never)).toMatchObject({ outcome: "rejected", check: 4 });
  });

  test("are redacted if their content is not what their maker hashed", async () => {
    const { remote, room, last } = await begun();
    const id = remote.add(BOB, say("hello"), [last]);
    const changed = { ...wireOf(remote, id), content: { body: "changed" } };
    const { receipts } = await receivePdus(hs, room, [changed], {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(receipts.get(id)).toEqual({ outcome: "accepted" });
    expect((await findEvents(hs, [id])).get(id)?.content).toEqual({});
  });

  test("bring with them all that leads to them", async () => {
    const { remote, room, last } = await begun();
    let tip = last;
    for (let count = 0; count < 120; count++) tip = remote.add(BOB, say(`${count}`), [tip]);
    const remotes = serverOf(remote);
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, tip)], {
      origin,
      keys,
      remotes,
    });
    expect(receipts.size).toBe(120);
    expect(new Set([...receipts.values()].map((it) => it.outcome))).toEqual(new Set(["accepted"]));
    expect(remotes.asked).toEqual(["missing", "missing", "missing"]);
    const holes = await hs.sql`select from missing_events where room_key = ${room.roomKey}`;
    expect(holes).toHaveLength(0);
  });

  test("are taken in with the state that their server gives, where what leads to them is lost", async () => {
    const { remote, room, last } = await begun();
    const named = remote.add(CREATOR, topic("lost"), [last]);
    const lost = remote.add(BOB, say("lost"), [named]);
    const id = remote.add(BOB, say("hello"), [lost]);
    const next = remote.add(BOB, say("again"), [id]);
    const from = { origin, keys, remotes: serverOf(remote, { hidden: new Set([lost]) }) };
    // Of what is brought to us and leads nowhere nobody is asked at once.
    const alone = await receivePdus(hs, room, [wireOf(remote, id)], from);
    expect(alone.receipts.get(id)).toEqual({ outcome: "waits", missing: [lost] });
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, next)], from);
    for (const it of [id, next]) expect(receipts.get(it)).toEqual({ outcome: "accepted" });
    const event = (await findEvents(hs, [id])).get(id);
    const before = await allStateAt(hs, event?.stateBefore ?? 0);
    expect(before.map((it) => it.eventId)).toContain(named);
    const holes =
      await hs.sql`select missing_id from missing_events where room_key = ${room.roomKey}`;
    expect(holes.map((it) => it["missing_id"])).toEqual([lost]);

    // What was lost comes after all: it is shown late, and the hole is closed.
    const late = await receivePdus(hs, room, [wireOf(remote, lost)], {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(late.receipts.get(lost)).toEqual({ outcome: "accepted" });
    const left = await hs.sql`select from missing_events where room_key = ${room.roomKey}`;
    expect(left).toHaveLength(0);
    const [head] = await hs.sql<{ extremities: number[] }[]>`
      select extremities from rooms where room_key = ${room.roomKey}`;
    const newest = (await findEvents(hs, [next])).get(next);
    expect(head?.extremities).toEqual([newest?.eventKey]);
  });

  test("wait without a place if nobody can say what led to them", async () => {
    const { remote, room, last } = await begun();
    const lost = remote.add(BOB, say("lost"), [last]);
    const id = remote.add(BOB, say("hello"), [lost]);
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, id)], {
      origin,
      keys,
      remotes: nobody,
    });
    expect(receipts.get(id)).toEqual({ outcome: "waits", missing: [lost] });
    const next = await receivePdus(hs, room, [wireOf(remote, lost)], {
      origin,
      keys,
      remotes: nobody,
    });
    expect(next.receipts.get(id)).toEqual({ outcome: "accepted" });
  });

  test.each([
    ["lacks their sender", (it: StateKey) => it !== stateKeyOf("m.room.member", BOB)],
    ["is empty", () => false],
  ])("are not rejected by a state that another server gives, which %s", async (_, isGiven) => {
    const { remote, room, last } = await begun();
    const lost = remote.add(BOB, say("lost"), [last]);
    const id = remote.add(BOB, say("hello"), [lost]);
    const next = remote.add(BOB, say("again"), [id]);
    const honest = serverOf(remote, { hidden: new Set([lost]) });
    const lying: Sources["remotes"] = {
      ...honest,
      async getRoomStateIds(_server, { eventId }) {
        const all = remote.events.get(eventId)?.before ?? new Map<StateKey, EventId>();
        const pdu_ids = [...all].flatMap(([key, it]) => (isGiven(key) ? [it] : []));
        return { ok: true, body: { pdu_ids, auth_chain_ids: [] } };
      },
    };
    const options = { origin, keys, remotes: lying };
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, next)], options);
    expect(receipts.get(id)).toEqual({ outcome: "waits", missing: [lost] });
    expect(receipts.get(next)).toEqual({ outcome: "waits", missing: [id] });

    const late = await receivePdus(hs, room, [wireOf(remote, lost)], {
      ...options,
      remotes: nobody,
    });
    for (const it of [id, next]) expect(late.receipts.get(it)).toEqual({ outcome: "accepted" });
  });

  test("of somebody who was banned meanwhile are soft-failed", async () => {
    const { remote, room, last } = await begun();
    const ban = remote.add(
      CREATOR,
      { type: "m.room.member", state_key: BOB, content: { membership: "ban" } },
      [last],
    );
    const id = remote.add(BOB, topic("from the past"), [last]);
    const options = { origin, keys, remotes: serverOf(remote) };
    await receivePdus(hs, room, [wireOf(remote, ban)], options);
    const message = remote.add(BOB, say("from the past"), [last]);
    const both = [wireOf(remote, message), wireOf(remote, id)];
    const { receipts } = await receivePdus(hs, room, both, options);
    expect(receipts.get(message)).toMatchObject({ outcome: "soft-failed", check: 6 });
    expect(receipts.get(id)?.outcome).toBe("rejected");
    const state = await allStateAt(hs, await currentStateRoot(hs, room.roomKey));
    const bob = state.find((it) => it.type === "m.room.member" && it.stateKey === BOB);
    expect(bob?.eventId).toBe(ban);
    const stored = (await findEvents(hs, [message])).get(message);
    expect(stored?.status).toBe(EventStatus.softFailed);
  });

  test("may hold what no database can, where they name nothing", async () => {
    const { remote, room, last } = await begun();
    const content = (relation: Record<string, string>) => ({
      body: "a\0b",
      "m.mentions": { user_ids: ["@a\0b:test"], room: true },
      "m.relates_to": relation,
    });
    const ids = [
      { rel_type: "m.thread", event_id: "$a\0" },
      { rel_type: "m.\0", event_id: last },
      { rel_type: "m.annotation", event_id: last, key: "\0" },
    ].map((it) => remote.add(BOB, { type: "m.room.message", content: content(it) }, [last]));
    const pdus = ids.map((id) => wireOf(remote, id));
    const { receipts } = await receivePdus(hs, room, pdus, {
      origin,
      keys,
      remotes: serverOf(remote),
    });
    expect(ids.map((id) => receipts.get(id)?.outcome)).toEqual(ids.map(() => "accepted"));
    expect((await findEvents(hs, ids)).size).toBe(3);
  });

  test("redact what comes after them", async () => {
    const { remote, room, last } = await begun();
    const target = remote.add(BOB, say("regretted"), [last]);
    const redaction = remote.add(BOB, { type: "m.room.redaction", content: {}, redacts: target }, [
      last,
    ]);
    const options = { origin, keys, remotes: serverOf(remote) };
    await receivePdus(hs, room, [wireOf(remote, redaction)], options);
    await receivePdus(hs, room, [wireOf(remote, target)], options);
    const stored = await findEvents(hs, [target, redaction]);
    expect(stored.get(target)?.redactedBy).toBe(stored.get(redaction)?.eventKey);
    expect(stored.get(redaction)?.status).toBe(EventStatus.untold);
    const waiting = await hs.sql`select from waiting_redactions where target = ${target}`;
    expect(waiting).toHaveLength(0);
  });

  test("redact what comes after them and has to wait for others then", async () => {
    const { remote, room, last } = await begun();
    const lost = remote.add(BOB, say("lost"), [last]);
    const target = remote.add(BOB, say("regretted"), [lost]);
    const redaction = remote.add(BOB, { type: "m.room.redaction", content: {}, redacts: target }, [
      last,
    ]);
    const options = { origin, keys, remotes: nobody };
    await receivePdus(hs, room, [wireOf(remote, redaction)], options);
    const { receipts } = await receivePdus(hs, room, [wireOf(remote, target)], options);
    expect(receipts.get(target)?.outcome).toBe("waits");
    await receivePdus(hs, room, [wireOf(remote, lost)], options);
    const stored = await findEvents(hs, [target, redaction]);
    expect(stored.get(target)).toMatchObject({
      status: EventStatus.accepted,
      redactedBy: stored.get(redaction)?.eventKey,
    });
  });

  test("are redacted by what a user of ours has sent before they came", async () => {
    const { remote, room, last } = await begun();
    const local = await testUser(hs, "local");
    const { userId } = local;
    const options = { origin, keys, remotes: serverOf(remote) };
    const joins = { type: "m.room.member", state_key: userId, content: { membership: "join" } };
    const levels = { users: { [userId]: 100 } };
    const join = remote.add(userId, joins, [last]);
    const raised = remote.add(
      CREATOR,
      { type: "m.room.power_levels", state_key: "", content: levels },
      [join],
    );
    const target = remote.add(BOB, say("regretted"), [raised]);
    await receiveEvents(hs, room, [remote.received(join), remote.received(raised)]);
    const redaction = await redactEvent(hs, {
      requester: local,
      room,
      target,
      content: {},
      transaction: { deviceKey: local.deviceKey, txnId: "before" },
    });
    await receivePdus(hs, room, [wireOf(remote, target)], options);
    const stored = await findEvents(hs, [target, redaction]);
    expect(stored.get(target)?.redactedBy).toBe(stored.get(redaction)?.eventKey);
  });
});
