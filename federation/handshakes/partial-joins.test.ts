import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { finishingEnds, finishSoon } from "#src/rooms/partial/finish-partial-room.ts";
import { fetchMembers } from "#src/rooms/partial/job-fetch-members.ts";
import { type Ask, asking } from "#src/testing-http.ts";
import { type FederatedHomeserver, testFederation, type TestFederation } from "../testing.ts";
import { stateIds, user, type User } from "./testing.ts";

let federation: TestFederation;
let one: FederatedHomeserver;
let two: FederatedHomeserver;
let onOne: Ask;
let onTwo: Ask;
let alice: User;
let carol: User;
let bob: User;

/** What the first server waits for before it tells a room's state. */
let gate: PromiseWithResolvers<void> | undefined;

beforeAll(async () => {
  federation = await testFederation();
  one = await federation.open({
    host: "hs1.test",
    gate: (uri) => (uri.includes("/state") ? gate?.promise : undefined),
  });
  two = await federation.open({ host: "hs2.test", processes: 2 });
  [onOne, onTwo] = [asking(one.hs), asking(two.hs)];
  [alice, carol, bob] = [
    await user(onOne, "alice"),
    await user(onOne, "carol"),
    await user(onTwo, "bob"),
  ];
});
afterAll(async () => await federation.close());

const E = encodeURIComponent;
const LAZY = E(JSON.stringify({ room: { state: { lazy_load_members: true } } }));

/** Has bob join a room in which alice, carol and others are, and of whose members he is not told yet. */
async function joinPartially(...others: readonly User[]): Promise<RoomId> {
  gate = Promise.withResolvers();
  const body = { preset: "public_chat", name: "Large" };
  const made = await onOne("POST", "createRoom", { token: alice.token, body });
  const roomId = made.body.room_id as RoomId;
  for (const { token } of [carol, ...others]) {
    await onOne("POST", `join/${E(roomId)}`, { token, body: {} });
  }
  const path = `join/${E(roomId)}?via=${E(one.name)}`;
  expect((await onTwo("POST", path, { token: bob.token, body: {} })).status).toBe(200);
  return roomId;
}

async function say(ask: Ask, { token }: User, roomId: RoomId, text: string): Promise<string> {
  const path = `rooms/${E(roomId)}/send/m.room.message/${text}`;
  const sent = await ask("PUT", path, { token, body: { msgtype: "m.text", body: text } });
  expect(sent.status).toBe(200);
  return sent.body.event_id as string;
}

const sync = async (query = "", ask = onTwo) =>
  (await ask("GET", `sync?${query}`, { token: bob.token })).body;

type Room = {
  state: { events: { type: string; state_key: string }[] };
  timeline: { events: { event_id: string }[]; limited: boolean };
  summary: { "m.joined_member_count": number };
};

const membersIn = ({ state, timeline }: Room) =>
  [...state.events, ...(timeline.events as unknown as Room["state"]["events"])]
    .filter((it) => it.type === "m.room.member")
    .map((it) => it.state_key)
    .toSorted();

describe("a room of which the members are not known yet", () => {
  test("is there for clients that need not know them, and for the others when they are", async () => {
    const before = await sync();
    const roomId = await joinPartially();
    const lazy = await sync(`filter=${LAZY}`);
    const room = lazy.rooms.join[roomId] as Room;
    expect(room.state.events.map((it) => it.type)).toContain("m.room.name");
    const eager = await sync(`since=${before.next_batch}`);
    expect(eager.rooms?.join ?? {}).not.toHaveProperty([roomId]);

    // Both sides speak, also whoever is not known here.
    const ours = await say(onTwo, bob, roomId, "ours");
    const theirs = await say(onOne, carol, roomId, "theirs");
    await expect
      .poll(async () => {
        const answer = await sync(`filter=${LAZY}&since=${lazy.next_batch}`);
        const { timeline } = (answer.rooms?.join?.[roomId] ?? { timeline: { events: [] } }) as Room;
        return timeline.events.map((it) => it.event_id).toSorted();
      })
      .toEqual([ours, theirs].toSorted());
    await expect
      .poll(async () => (await onOne("GET", `rooms/${E(roomId)}/event/${ours}`, alice)).status)
      .toBe(200);

    const members = onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token });
    const joined = onTwo("GET", `rooms/${E(roomId)}/joined_members`, { token: bob.token });
    const late = await sync(`since=${eager.next_batch}`);
    expect(late.rooms?.join ?? {}).not.toHaveProperty([roomId]);
    const waiting = sync(`since=${late.next_batch}&timeout=60000`);
    gate?.resolve();

    const all = [alice.userId, bob.userId, carol.userId].toSorted();
    expect((await members).body.chunk).toHaveLength(3);
    expect(Object.keys((await joined).body.joined).toSorted()).toEqual(all);
    const whole = (await waiting).rooms.join[roomId] as Room;
    expect(membersIn(whole)).toEqual(all);
    expect(whole.summary["m.joined_member_count"]).toBe(3);
    const state = await stateIds(one, roomId);
    expect(await stateIds(two, roomId)).toEqual(state);
    // The other process has heard of it as well.
    const elsewhere = await sync(`since=${late.next_batch}`, asking(two.all[1] ?? two.hs));
    expect(membersIn(elsewhere.rooms.join[roomId] as Room)).toEqual(all);
  });

  test("is completed by another process, if the first does not come to an end", async () => {
    const roomId = await joinPartially();
    const first = gate;
    gate = undefined;
    await expect
      .poll(async () => {
        // As if its lease had ended.
        await two.hs.sql`update partial_rooms set due_ms = 0`;
        await fetchMembers.run(two.all[1] ?? two.hs, new AbortController().signal);
        return await two.hs.sql`select from partial_rooms`;
      })
      .toHaveLength(0);
    expect(await stateIds(two, roomId)).toEqual(await stateIds(one, roomId));
    first?.resolve();
  });

  test("is left to others at once by a process that ends", async () => {
    const roomId = await joinPartially();
    const room = await findRoom(two.hs, roomId);
    if (!room) throw new Error("the room is not here");
    // Whoever was at it first has given up.
    gate?.promise.catch(() => {});
    gate?.reject(new Error("no answer"));
    const givenUp = async () => await two.hs.sql`select from partial_rooms where failures > 0`;
    await expect.poll(givenUp).toHaveLength(1);
    gate = Promise.withResolvers();
    await two.hs.sql`update partial_rooms set due_ms = 0, failures = 0`;
    const ending = new AbortController();
    const process = { ...two.hs, stopping: ending.signal };
    finishSoon(process, room);
    const now = two.hs.now();
    const taken = async () => await two.hs.sql`select from partial_rooms where due_ms > ${now}`;
    await expect.poll(taken).toHaveLength(1);
    const ended = finishingEnds(process);
    ending.abort();
    await ended;
    const rows = await two.hs.sql<{ failures: number; due_ms: number }[]>`
      select failures, due_ms from partial_rooms`;
    expect(rows).toMatchObject([{ failures: 0 }]);
    expect(rows[0]?.due_ms).toBeLessThanOrEqual(two.hs.now());
    gate.resolve();
    await fetchMembers.run(two.all[1] ?? two.hs, new AbortController().signal);
    expect(await two.hs.sql`select from partial_rooms`).toHaveLength(0);
  });

  test("is told to other servers when it is whole, and not before", async () => {
    const roomId = await joinPartially();
    const eventId = (await say(onTwo, bob, roomId, "stated")) as EventId;
    const question = { roomId, eventId };
    const asked = one.hs.remotes.getRoomStateIds(two.name, question);
    setTimeout(() => gate?.resolve(), 300);
    const answer = await asked;
    const state = await stateIds(one, roomId);
    expect(answer.ok && answer.body.pdu_ids.toSorted()).toEqual(state.toSorted());
  });

  test("lets users of other servers in when they are", async () => {
    const roomId = await joinPartially();
    const question = { roomId, userId: carol.userId, versions: ["12"] };
    const asked = one.hs.remotes.makeJoin(two.name, question);
    const other = `@nobody:${one.name}` as const;
    const left = one.hs.remotes.makeLeave(two.name, { roomId, userId: other });
    setTimeout(() => gate?.resolve(), 300);
    expect(await asked).toMatchObject({ ok: true, body: { event: { sender: carol.userId } } });
    expect(await left).toMatchObject({ ok: false, status: 403 });
  });

  test("is told what we say also when we come to it again", async () => {
    const roomId = await joinPartially();
    gate?.resolve();
    const members = async () =>
      (await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token })).body.chunk;
    expect(await members()).toHaveLength(3);
    await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });
    gate = Promise.withResolvers();
    const again = `join/${E(roomId)}?via=${E(one.name)}`;
    expect((await onTwo("POST", again, { token: bob.token, body: {} })).status).toBe(200);
    const said = await say(onTwo, bob, roomId, "back");
    await expect
      .poll(async () => (await onOne("GET", `rooms/${E(roomId)}/event/${said}`, alice)).status)
      .toBe(200);
    gate.resolve();
  });

  test("tells clients of everybody's devices when it is whole", async () => {
    const stranger = await user(onOne, "stranger");
    const before = await sync();
    const roomId = await joinPartially(stranger);
    const meanwhile = await sync(`since=${before.next_batch}`);
    gate?.resolve();
    await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token });
    const after = await sync(`since=${meanwhile.next_batch}`);
    expect(after.device_lists.changed).toContain(stranger.userId);
  });

  test("shows whoever speaks, types and reads in it, before its members are known", async () => {
    const roomId = await joinPartially();
    const said = await say(onOne, carol, roomId, "hello");
    const typing = `rooms/${E(roomId)}/typing/${E(carol.userId)}`;
    await onOne("PUT", typing, { token: carol.token, body: { typing: true, timeout: 60_000 } });
    const receipt = `rooms/${E(roomId)}/receipt/m.read/${E(said)}`;
    await onOne("POST", receipt, { token: carol.token, body: {} });
    type Ephemeral = { type: string; content: object };
    const ephemeral = async () => {
      const { rooms } = await sync(`filter=${LAZY}`);
      const events = (rooms.join[roomId]?.ephemeral?.events ?? []) as Ephemeral[];
      return Object.fromEntries(events.map((it) => [it.type, it.content]));
    };
    await expect.poll(ephemeral).toMatchObject({
      "m.typing": { user_ids: [carol.userId] },
      "m.receipt": { [said]: { "m.read": { [carol.userId]: {} } } },
    });
    const seen = [bob.userId, carol.userId].toSorted();
    const lazy = async () => membersIn((await sync(`filter=${LAZY}`)).rooms.join[roomId] as Room);
    await expect.poll(lazy).toEqual(seen);
    const filter = E(JSON.stringify({ lazy_load_members: true }));
    const messages = `rooms/${E(roomId)}/messages?dir=b&filter=${filter}`;
    const page = await onTwo("GET", messages, { token: bob.token });
    const senders = (page.body.state as { state_key: string }[]).map((it) => it.state_key);
    expect(senders.toSorted()).toEqual(seen);
    const config = { timeline_limit: 5, required_state: [["m.room.member", "$LAZY"]] };
    const body = { room_subscriptions: { [roomId]: config } };
    const where = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
    const slid = await onTwo("POST", where, { token: bob.token, body });
    const members = slid.body.rooms[roomId].required_state as { state_key: string }[];
    expect(members.map((it) => it.state_key)).toContain(carol.userId);
    gate?.resolve();
  });

  test("is joined by others of us by asking those who know its members", async () => {
    const [dave, erin] = [await user(onTwo, "dave"), await user(onTwo, "erin")];
    const roomId = await joinPartially();
    const where = `rooms/${E(roomId)}/ban`;
    await onOne("POST", where, { token: alice.token, body: { user_id: erin.userId } });
    const join = async ({ token }: User) =>
      await onTwo("POST", `join/${E(roomId)}`, { token, body: {} });
    expect((await join(dave)).status).toBe(200);
    expect((await join(bob)).status).toBe(200);
    expect((await join(erin)).body.errcode).toBe("M_FORBIDDEN");
    expect(await two.hs.sql`select from partial_rooms`).toHaveLength(1);
    await say(onTwo, dave, roomId, "here");
    gate?.resolve();
    const state = async () => await stateIds(one, roomId);
    await expect.poll(async () => await stateIds(two, roomId)).toEqual(await state());
    const members = await onTwo("GET", `rooms/${E(roomId)}/members`, { token: dave.token });
    expect(members.body.chunk).toHaveLength(5);
  });

  test("tells its members to those who have left it meanwhile", async () => {
    const roomId = await joinPartially();
    await sync(`filter=${LAZY}`);
    await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });
    gate?.resolve();
    const members = await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token });
    expect(members.body.chunk).toHaveLength(3);
  });

  test("has its members in the directory of users once they are known", async () => {
    const zoe = await user(onOne, "zoe");
    const roomId = await joinPartially(zoe);
    gate?.resolve();
    await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token });
    const found = async (search_term: string) => {
      const body = { search_term };
      const answer = await onTwo("POST", "user_directory/search", { token: bob.token, body });
      return (answer.body.results as { user_id: string }[]).map((it) => it.user_id);
    };
    expect(await found("zoe")).toEqual([zoe.userId]);
    expect(await found("bob")).toEqual([bob.userId]);
  });

  test("can be left, and is then no longer of interest", async () => {
    const roomId = await joinPartially();
    const left = await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });
    expect(left.status).toBe(200);
    await expect
      .poll(async () => {
        await two.hs.sql`update partial_rooms set due_ms = 0`;
        await fetchMembers.run(two.hs, new AbortController().signal);
        return await two.hs.sql`select from partial_rooms`;
      })
      .toHaveLength(0);
    gate?.resolve();
    const again = `join/${E(roomId)}?via=${E(one.name)}`;
    expect((await onTwo("POST", again, { token: bob.token, body: {} })).status).toBe(200);
    const state = await stateIds(one, roomId);
    await expect.poll(async () => await stateIds(two, roomId)).toEqual(state);
  });
});
