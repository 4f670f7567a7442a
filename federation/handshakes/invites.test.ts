import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RoomId } from "#src/kit/identifiers.ts";
import { tellLeaves } from "#src/membership/outside/job-tell-leaves.ts";
import { asking } from "#src/testing-http.ts";
import { present } from "../../spec-tests/answers.ts";
import {
  invitesOf,
  openStage,
  type Stage,
  stateIds,
  user,
  type User,
  VERSIONS,
} from "./testing.ts";

let stage: Stage;
let { one, two, onOne, onTwo, alice, bob, roomOf } = {} as Stage;

beforeAll(async () => {
  stage = await openStage();
  ({ one, two, onOne, onTwo, alice, bob, roomOf } = stage);
});
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;

describe("an invitation", () => {
  test.each(VERSIONS)(
    "goes to a user of another server, who accepts it: version %s",
    async (version) => {
      const { roomId } = await roomOf({ preset: "private_chat", room_version: version });
      const body = { user_id: bob.userId, reason: "come" };
      const invited = await onOne("POST", `rooms/${E(roomId)}/invite`, {
        token: alice.token,
        body,
      });
      expect(invited).toMatchObject({ status: 200, body: {} });
      const told = present((await invitesOf(onTwo, bob))[roomId]).invite_state.events;
      expect(told.map((it) => it.type)).toContain("m.room.create");
      expect(told.find((it) => it.type === "m.room.name")?.content).toEqual({ name: "Far away" });
      expect(told.find((it) => it.state_key === bob.userId)?.content).toEqual({
        membership: "invite",
        reason: "come",
      });
      const joined = await onTwo("POST", `rooms/${E(roomId)}/join`, { token: bob.token, body: {} });
      expect(joined.status).toBe(200);
      const state = await stateIds(one, roomId);
      await expect.poll(async () => await stateIds(two, roomId)).toEqual(state);
      expect(await invitesOf(onTwo, bob)).not.toHaveProperty(roomId);
    },
  );

  test("is declined, and whoever has invited hears of it", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    const body = { user_id: bob.userId };
    await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body });
    const left = await onTwo("POST", `rooms/${E(roomId)}/leave`, {
      token: bob.token,
      body: { reason: "no" },
    });
    expect(left.status).toBe(200);
    expect(await invitesOf(onTwo, bob)).not.toHaveProperty(roomId);
    const path = `rooms/${E(roomId)}/state/m.room.member/${E(bob.userId)}`;
    const member = await onOne("GET", path, { token: alice.token });
    expect(member.body).toEqual({ membership: "leave", reason: "no" });
    const again = await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body });
    expect(again.status).toBe(200);
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
  });

  test("can be declined when nobody can be told", async () => {
    const lone = await stage.federation.open({ host: "hs3.test" });
    const onLone = asking(lone.hs);
    const carol = await user(onLone, "carol");
    const body = { preset: "private_chat" };
    const { room_id } = (await onLone("POST", "createRoom", { token: carol.token, body })).body;
    const invite = { token: carol.token, body: { user_id: bob.userId } };
    expect((await onLone("POST", `rooms/${E(room_id)}/invite`, invite)).status).toBe(200);
    await onLone("POST", `rooms/${E(room_id)}/leave`, { token: carol.token, body: {} });
    const left = await onTwo("POST", `rooms/${E(room_id)}/leave`, { token: bob.token, body: {} });
    expect(left.status).toBe(200);
    expect(await invitesOf(onTwo, bob)).not.toHaveProperty(room_id);
  });

  test("that is declined while nobody can be told is declined there later", async () => {
    let isAway = false;
    const lone = await stage.federation.open({
      host: "hs3.test",
      gate: async () => await (isAway ? Promise.reject(new Error("away")) : Promise.resolve()),
    });
    const onLone = asking(lone.hs);
    const dora = await user(onLone, "dora");
    const made = await onLone("POST", "createRoom", {
      token: dora.token,
      body: { preset: "private_chat", invite: [bob.userId] },
    });
    const roomId = made.body.room_id as RoomId;
    isAway = true;
    const left = onTwo("POST", `rooms/${E(roomId)}/leave`, {
      token: bob.token,
      body: { reason: "no" },
    });
    expect((await left).status).toBe(200);
    expect(await invitesOf(onTwo, bob)).not.toHaveProperty(roomId);
    isAway = false;
    await two.hs.sql`update untold_leaves set due_ms = 0`;
    await tellLeaves.run(two.all[1] ?? two.hs, new AbortController().signal);
    const path = `rooms/${E(roomId)}/state/m.room.member/${E(bob.userId)}`;
    const member = await onLone("GET", path, { token: dora.token });
    expect(member.body).toEqual({ membership: "leave", reason: "no" });
    expect(await two.hs.sql`select from untold_leaves`).toHaveLength(0);
  });

  test("is not made if the other server does not sign it", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    const invite = async (user_id: string) =>
      await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body: { user_id } });
    expect(await invite(`@nobody:${two.name}`)).toMatchObject({ status: 403 });
    expect((await invite("@x:hs3.test:1")).status).toBe(502);
    const members = await onOne("GET", `rooms/${E(roomId)}/members`, { token: alice.token });
    expect(members.body.chunk).toHaveLength(1);
  });

  test("is made by a member event that a client writes, if the other server signs it", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    const invite = async (userId: string) =>
      await onOne("PUT", `rooms/${E(roomId)}/state/m.room.member/${E(userId)}`, {
        token: alice.token,
        body: { membership: "invite", reason: "come" },
      });
    expect(await invite(`@nobody:${two.name}`)).toMatchObject({ status: 403 });
    const invited = await invite(bob.userId);
    expect(invited.status).toBe(200);
    expect(await invite(bob.userId)).toEqual(invited);
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
    const members = await onOne("GET", `rooms/${E(roomId)}/members`, { token: alice.token });
    expect(members.body.chunk).toHaveLength(2);
  });

  test("is made with the room", async () => {
    const invite = [bob.userId, `@nobody:${two.name}`];
    const { roomId } = await roomOf({ preset: "trusted_private_chat", invite, is_direct: true });
    const { events } = present((await invitesOf(onTwo, bob))[roomId]).invite_state;
    expect(events.find((it) => it.state_key === bob.userId)?.content).toEqual({
      membership: "invite",
      is_direct: true,
    });
  });

  test("is made with the room for users of several servers at once: one that hangs holds up no other", async () => {
    const { sendInviteV2 } = one.hs.remotes;
    const order: string[] = [];
    const both = Promise.withResolvers<void>();
    const slow: typeof sendInviteV2 = async (server, ...asked) => {
      if (order.push(`asked ${server}`) === 2) both.resolve();
      await Promise.race([both.promise, sleep(8_000)]);
      order.push(`told ${server}`);
      return await sendInviteV2(server, ...asked);
    };
    Object.assign(one.hs.remotes, { sendInviteV2: slow });
    const invite = ["@nobody:hs3.test:1", bob.userId];
    const { roomId } = await roomOf({ preset: "private_chat", invite });
    Object.assign(one.hs.remotes, { sendInviteV2 });
    expect(order.slice(0, 2).toSorted()).toEqual(
      ["asked hs3.test:1", `asked ${two.name}`].toSorted(),
    );
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
  });

  /** Has a user take bob out of a room. @returns what his server says of that, after what it says of another event. */
  async function withdrawn(roomId: RoomId, { token }: User, txnId: string) {
    const body = { user_id: bob.userId };
    await onOne("POST", `rooms/${E(roomId)}/kick`, { token, body });
    const [kick] = await one.hs.sql<{ json: string }[]>`
      select json from events join rooms using (room_key)
      where room_id = ${roomId} and type = 'm.room.member' and state_key = ${bob.userId}
      order by event_key desc limit 1`;
    const json = kick?.json ?? "";
    const message = { ...JSON.parse(json), type: "m.room.message" };
    const answer = await one.hs.remotes.sendTransaction(two.name, {
      txnId,
      origin_server_ts: one.hs.now(),
      pdus: [JSON.stringify(message), json],
      edus: [],
    });
    return answer.ok ? [...answer.body.pdus.values()] : [];
  }

  test("is withdrawn", async () => {
    const { roomId } = await roomOf({ preset: "private_chat", invite: [bob.userId] });
    const said = await withdrawn(roomId, alice, "kick");
    expect(said).toEqual([{ error: expect.any(String) }, {}]);
    expect(await invitesOf(onTwo, bob)).not.toHaveProperty(roomId);
  });

  test("is not withdrawn by another, who may do so for all that we can know", async () => {
    const carol = await user(onOne, "carol");
    const { roomId } = await roomOf({
      preset: "public_chat",
      invite: [bob.userId],
      power_level_content_override: { users: { [carol.userId]: 100 } },
    });
    await onOne("POST", `join/${E(roomId)}`, { token: carol.token, body: {} });
    const said = await withdrawn(roomId, carol, "carols");
    expect(said).toEqual([{ error: expect.any(String) }, { error: expect.any(String) }]);
    expect(await invitesOf(onTwo, bob)).toHaveProperty([roomId]);
  });
});
