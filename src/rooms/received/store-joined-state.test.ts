import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stateKeyOf } from "#src/events/pdu.ts";
import { ROOM_VERSIONS } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName, UserId } from "#src/kit/identifiers.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { allStateAt, currentStateRoot } from "../current-state.ts";
import { findRoom, type Room } from "../find-room.ts";
import { memberCounts, membershipOf } from "../memberships.ts";
import { sendEvent } from "../send-event.ts";
import { ensureRoom } from "./ensure-room.ts";
import { receiveEvents } from "./receive-events.ts";
import { storeJoinedState } from "./store-joined-state.ts";
import { RemoteRoom } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(2);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

const join = (user: UserId) => ({
  type: "m.room.member",
  state_key: user,
  content: { membership: "join" },
});

/** A room with a number of members, and a join of ours that it has accepted. */
async function roomToJoin(version: string, members: number, name: string) {
  const remote = new RemoteRoom(version, name);
  let last = remote.begin("@creator:one.test");
  for (let count = 0; count < members; count++) {
    const user: UserId = `@member${count}:one.test`;
    last = remote.add(user, join(user), [last]);
  }
  const local: UserId = `@${name}:test`;
  const joined = remote.add(local, join(local), [last]);
  if (remote.roomId === undefined) throw new Error("no room");
  const room = await ensureRoom(hs, remote.roomId, remote.rules);
  const state = [...(remote.events.get(joined)?.before.values() ?? [])];
  return { remote, room, local, joined, state };
}

type ToJoin = Awaited<ReturnType<typeof roomToJoin>>;

async function storeJoin({ remote, room, joined, state }: ToJoin) {
  return await storeJoinedState(hs, {
    room,
    stateEvents: state.map((id) => remote.received(id)),
    authChain: [...remote.events.keys()].slice(0, 4).map((id) => remote.received(id)),
    joinEvent: remote.received(joined),
  });
}

async function currentIds(room: Room): Promise<Map<string, EventId>> {
  const events = await allStateAt(hs, await currentStateRoot(hs, room.roomKey));
  return new Map(events.map((it) => [stateKeyOf(it.type, it.stateKey ?? ""), it.eventId]));
}

describe("a join to a room of other servers", () => {
  test.each(["1", "9", "12"])("brings the state of a room of version %s", async (version) => {
    const it = await roomToJoin(version, 40, `join${version}`);
    expect(await storeJoin(it)).toMatchObject({ ok: true });
    expect(await currentIds(it.room)).toEqual(it.remote.events.get(it.joined)?.after);
    const alice = await testUser(hs, it.local.slice(1, -5));
    expect(await membershipOf(hs, alice.userKey, it.room.roomKey)).toBe("join");
    expect((await memberCounts(hs, [it.room.roomKey])).get(it.room.roomKey)?.joined).toBe(42);

    // And one can speak there, and hear.
    const said = await sendEvent(servers.all[1] ?? hs, {
      sender: alice,
      room: it.room,
      draft: { type: "m.room.message", content: { body: "here I am" } },
    });
    expect(said).toMatch(/^\$/);
    const answer = it.remote.add(
      "@creator:one.test",
      { type: "m.room.message", content: { body: "welcome" } },
      [it.joined],
    );
    const receipts = await receiveEvents(hs, it.room, [it.remote.received(answer)]);
    expect(receipts.get(answer)).toEqual({ outcome: "accepted" });
  });

  test("of one more user, by a state without its members, leaves these where they are", async () => {
    const it = await roomToJoin("12", 3, "onemore");
    expect(await storeJoin(it)).toMatchObject({ ok: true });
    const { remote, room } = it;
    const late: UserId = "@late:one.test";
    const unheard = remote.add(late, join(late), [it.joined]);
    const other: UserId = "@other:test";
    const joined = remote.add(other, join(other), [unheard]);
    const state = [...(remote.events.get(joined)?.before.values() ?? [])];
    const isMember = (id: EventId) => remote.graph.events.get(id)?.type === "m.room.member";
    const stored = await storeJoinedState(hs, {
      room,
      stateEvents: state.filter((id) => !isMember(id)).map((id) => remote.received(id)),
      authChain: [],
      joinEvent: remote.received(joined),
      membersFrom: ["one.test" as ServerName],
    });
    // It is not said what it follows: that must come first.
    expect(stored).toEqual({ ok: false, waits: true });
    expect(await currentIds(room)).toEqual(remote.events.get(it.joined)?.after);
    await receiveEvents(hs, room, [remote.received(unheard)]);
    expect(await currentIds(room)).toEqual(remote.events.get(joined)?.after);
  });

  test("is not made if the state that came with it does not allow it", async () => {
    const it = await roomToJoin("12", 2, "refused");
    const rules = it.remote.add(
      "@creator:one.test",
      { type: "m.room.join_rules", state_key: "", content: { join_rule: "invite" } },
      [...it.remote.events.keys()].slice(-2, -1),
    );
    const closed = it.state.map((id) =>
      it.remote.graph.events.get(id)?.type === "m.room.join_rules" ? rules : id,
    );
    expect(await storeJoin({ ...it, state: closed })).toMatchObject({ ok: false });
    expect(await currentStateRoot(hs, it.room.roomKey)).toBe(0);
  });

  test("of a thousand members takes little", async () => {
    const it = await roomToJoin("11", 1_000, "large");
    const received = it.state.map((id) => it.remote.received(id));
    expect(received).toHaveLength(1_004);
    const before = process.cpuUsage();
    expect(await storeJoin(it)).toMatchObject({ ok: true });
    const { user, system } = process.cpuUsage(before);

    expect((user + system) / 1_000).toBeLessThan(4_000);
    expect((await currentIds(it.room)).size).toBe(1_005);
  });

  test("finds it of its own version, whatever others had said of that before", async () => {
    const remote = new RemoteRoom("10", "told-wrong");
    const creator: UserId = "@creator:one.test";
    const [wrong, other] = [ROOM_VERSIONS.get("1"), servers.all[1]];
    if (!wrong || !other || remote.roomId === undefined) throw new Error("nothing to begin with");
    await ensureRoom(hs, remote.roomId, wrong);
    expect((await findRoom(other, remote.roomId))?.rules).toBe(wrong);

    const local: UserId = "@told-wrong:test";
    const joined = remote.add(local, join(local), [remote.begin(creator)]);
    const room = await ensureRoom(hs, remote.roomId, remote.rules);
    expect(room.rules).toBe(remote.rules);
    const state = [...(remote.events.get(joined)?.before.values() ?? [])];
    expect(await storeJoin({ remote, room, local, joined, state })).toMatchObject({ ok: true });
    for (const its of [hs, other]) {
      await tailOf(its).catchUp();
      expect((await findRoom(its, remote.roomId))?.rules).toBe(remote.rules);
    }
    expect((await ensureRoom(hs, remote.roomId, wrong)).rules).toBe(remote.rules);
  });
});
