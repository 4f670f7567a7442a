import { afterAll, describe, expect, test } from "vitest";
import { asking } from "#src/testing-http.ts";
import { type JoinedRoom, joinedRoom, type SlidingAnswer } from "../../spec-tests/answers.ts";
import { openPartialStage } from "./testing-partial.ts";
import { stateIds, user, type User } from "./testing.ts";

const stage = await openPartialStage();
const { one, two, onOne, onTwo, alice, bob, carol, joinPartially, say, sync } = stage;
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;
const LAZY = E(JSON.stringify({ room: { state: { lazy_load_members: true } } }));

const membersIn = ({ state, timeline }: JoinedRoom) =>
  [...state.events, ...timeline.events]
    .filter((it) => it.type === "m.room.member")
    .map((it) => it.state_key)
    .toSorted();

describe("a room of which the members are not known yet", () => {
  test("is there for clients that need not know them, and for the others when they are", async () => {
    const before = await sync();
    const roomId = await joinPartially();
    const lazy = await sync(`filter=${LAZY}`);
    const room = joinedRoom(lazy, roomId);
    expect(room.state.events.map((it) => it.type)).toContain("m.room.name");
    const eager = await sync(`since=${before.next_batch}`);
    expect(eager.rooms?.join ?? {}).not.toHaveProperty([roomId]);

    // Both sides speak, also whoever is not known here.
    const ours = await say(onTwo, bob, roomId, "ours");
    const theirs = await say(onOne, carol, roomId, "theirs");
    await expect
      .poll(async () => {
        const answer = await sync(`filter=${LAZY}&since=${lazy.next_batch}`);
        const { timeline } = answer.rooms?.join?.[roomId] ?? { timeline: { events: [] } };
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
    stage.gate?.resolve();

    const all = [alice.userId, bob.userId, carol.userId].toSorted();
    expect((await members).body.chunk).toHaveLength(3);
    expect(Object.keys((await joined).body.joined).toSorted()).toEqual(all);
    const whole = joinedRoom(await waiting, roomId);
    expect(membersIn(whole)).toEqual(all);
    expect(whole.summary["m.joined_member_count"]).toBe(3);
    const state = await stateIds(one, roomId);
    expect(await stateIds(two, roomId)).toEqual(state);
    // The other process has heard of it as well.
    const elsewhere = await sync(`since=${late.next_batch}`, asking(two.all[1] ?? two.hs));
    expect(membersIn(joinedRoom(elsewhere, roomId))).toEqual(all);
  });

  test("tells clients of everybody's devices when it is whole", async () => {
    const stranger = await user(onOne, "stranger");
    const before = await sync();
    const roomId = await joinPartially(stranger);
    const meanwhile = await sync(`since=${before.next_batch}`);
    stage.gate?.resolve();
    await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token });
    const after = await sync(`since=${meanwhile.next_batch}`);
    expect(after.device_lists?.changed).toContain(stranger.userId);
  });

  test("shows whoever speaks, types and reads in it, before its members are known", async () => {
    const roomId = await joinPartially();
    const said = await say(onOne, carol, roomId, "hello");
    const typing = `rooms/${E(roomId)}/typing/${E(carol.userId)}`;
    await onOne("PUT", typing, { token: carol.token, body: { typing: true, timeout: 60_000 } });
    const receipt = `rooms/${E(roomId)}/receipt/m.read/${E(said)}`;
    await onOne("POST", receipt, { token: carol.token, body: {} });
    const ephemeral = async () => {
      const { rooms } = await sync(`filter=${LAZY}`);
      const events = rooms?.join?.[roomId]?.ephemeral?.events ?? [];
      return Object.fromEntries(events.map((it) => [it.type, it.content]));
    };
    await expect.poll(ephemeral).toMatchObject({
      "m.typing": { user_ids: [carol.userId] },
      "m.receipt": { [said]: { "m.read": { [carol.userId]: {} } } },
    });
    const seen = [bob.userId, carol.userId].toSorted();
    const lazy = async () => membersIn(joinedRoom(await sync(`filter=${LAZY}`), roomId));
    await expect.poll(lazy).toEqual(seen);
    const filter = E(JSON.stringify({ lazy_load_members: true }));
    const messages = `rooms/${E(roomId)}/messages?dir=b&filter=${filter}`;
    const page = await onTwo("GET", messages, { token: bob.token });
    const senders = page.body.state.map((it) => it.state_key);
    expect(senders.toSorted()).toEqual(seen);
    const config = { timeline_limit: 5, required_state: [["m.room.member", "$LAZY"]] };
    const body = { room_subscriptions: { [roomId]: config } };
    const where = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
    const slid = await onTwo<SlidingAnswer>("POST", where, { token: bob.token, body });
    const members = slid.body.rooms[roomId]?.required_state;
    expect(members?.map((it) => it.state_key)).toContain(carol.userId);
    stage.gate?.resolve();
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
    stage.gate?.resolve();
    const state = async () => await stateIds(one, roomId);
    await expect.poll(async () => await stateIds(two, roomId)).toEqual(await state());
    const members = await onTwo("GET", `rooms/${E(roomId)}/members`, { token: dave.token });
    expect(members.body.chunk).toHaveLength(5);
  });

  test("tells its members to those who have left it meanwhile", async () => {
    const roomId = await joinPartially();
    await sync(`filter=${LAZY}`);
    await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });
    stage.gate?.resolve();
    const members = await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token });
    expect(members.body.chunk).toHaveLength(3);
  });

  test("has its members in the directory of users once they are known", async () => {
    const zoe = await user(onOne, "zoe");
    const roomId = await joinPartially(zoe);
    stage.gate?.resolve();
    await onTwo("GET", `rooms/${E(roomId)}/members`, { token: bob.token });
    const found = async (search_term: string) => {
      const body = { search_term };
      const answer = await onTwo("POST", "user_directory/search", { token: bob.token, body });
      return (answer.body.results as { user_id: string }[]).map((it) => it.user_id);
    };
    expect(await found("zoe")).toEqual([zoe.userId]);
    expect(await found("bob")).toEqual([bob.userId]);
  });
});
