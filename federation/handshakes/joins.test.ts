import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RoomId } from "#src/kit/identifiers.ts";
import { signTemplate } from "#src/membership/outside/sign-template.ts";
import { openStage, type Stage, stateIds, user, type User, VERSIONS } from "./testing.ts";

let stage: Stage;
let { one, two, onOne, onTwo, alice, bob, roomOf } = {} as Stage;

beforeAll(async () => {
  stage = await openStage();
  ({ one, two, onOne, onTwo, alice, bob, roomOf } = stage);
});
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;

describe("a room of another server", () => {
  test.each(VERSIONS)(
    "of version %s is joined by its alias, and is the same here",
    async (version) => {
      const { roomId, alias } = await roomOf({ room_version: version });
      const joined = await onTwo("POST", `join/${E(alias)}`, {
        token: bob.token,
        body: { reason: "so" },
      });
      expect(joined).toMatchObject({ status: 200, body: { room_id: roomId } });
      const state = await stateIds(one, roomId);
      await expect.poll(async () => await stateIds(two, roomId)).toEqual(state);
      const path = `rooms/${E(roomId)}/state/m.room.member/${E(bob.userId)}`;
      for (const [ask, { token }] of [
        [onOne, alice],
        [onTwo, bob],
      ] as const) {
        const member = await ask("GET", path, { token });
        expect(member.body).toEqual({ membership: "join", displayname: "bob", reason: "so" });
      }
      const said = await onTwo("PUT", `rooms/${E(roomId)}/send/m.room.message/1`, {
        token: bob.token,
        body: { msgtype: "m.text", body: "here I am" },
      });
      expect(said.status).toBe(200);
      const sync = await onTwo("GET", "sync", { token: bob.token });
      expect(Object.keys(sync.body.rooms?.join ?? {})).toContain(roomId);
    },
  );

  test("is joined by its ID, through the first server that is of help", async () => {
    const { roomId } = await roomOf();
    const via = `via=hs3.test%3A1&via=${E(one.name)}`;
    const joined = await onTwo("POST", `join/${E(roomId)}?${via}`, { token: bob.token, body: {} });
    expect(joined.status).toBe(200);
  });

  test("is joined by several users at once, and again by one who had left", async () => {
    const { roomId } = await roomOf();
    const others = await Promise.all(["c", "d", "e"].map(async (it) => await user(onTwo, it)));
    const join = async ({ token }: User) =>
      (await onTwo("POST", `join/${E(roomId)}?via=${E(one.name)}`, { token, body: {} })).status;
    expect(await Promise.all([bob, ...others].map(join))).toEqual([200, 200, 200, 200]);
    for (const { token } of [bob, ...others]) {
      expect((await onTwo("POST", `rooms/${E(roomId)}/leave`, { token, body: {} })).status).toBe(
        200,
      );
    }
    expect(await join(bob)).toBe(200);
  });

  test("is joined and left through a server that knows the first version of the API alone", async () => {
    const { roomId } = await roomOf();
    const { sendJoinV2, sendLeaveV2 } = two.hs.remotes;
    const unknown = async () =>
      ({ ok: false, why: "refused", status: 404, errcode: "M_UNRECOGNIZED", body: {} }) as const;
    Object.assign(two.hs.remotes, { sendJoinV2: unknown, sendLeaveV2: unknown });
    try {
      const { token } = bob;
      const door = `join/${E(roomId)}?via=${E(one.name)}`;
      expect((await onTwo("POST", door, { token, body: {} })).status).toBe(200);
      const left = await onTwo("POST", `rooms/${E(roomId)}/leave`, { token, body: {} });
      expect(left.status).toBe(200);
    } finally {
      Object.assign(two.hs.remotes, { sendJoinV2, sendLeaveV2 });
    }
  });

  test("is joined by guests where it lets them in", async () => {
    const { token, userId } = await user(onTwo, "guest");
    await two.hs.sql`
      update accounts set is_guest = true from users
      where accounts.user_key = users.user_key and user_id = ${userId}`;
    const { roomId } = await roomOf({ preset: "private_chat" });
    const access = async (guest_access: string) =>
      await onOne("PUT", `rooms/${E(roomId)}/state/m.room.guest_access/`, {
        token: alice.token,
        body: { guest_access },
      });
    const join = async () => await onTwo("POST", `join/${E(roomId)}`, { token, body: {} });
    const body = { user_id: userId };
    await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body });
    await access("forbidden");
    const forbidden = { status: 403, body: { errcode: "M_GUEST_ACCESS_FORBIDDEN" } };
    expect(await join()).toMatchObject(forbidden);
    await access("can_join");
    expect((await join()).status).toBe(200);
  });

  test("is left again if what is said of it does not hold, so that nobody there believes us to be in it", async () => {
    const { roomId } = await roomOf();
    const { sendJoinV2 } = two.hs.remotes;
    // As if the server that lets us in gave a state without its beginning.
    const lying: typeof sendJoinV2 = async (...asked) => {
      const answer = await sendJoinV2(...asked);
      return answer.ok ? { ok: true, body: { ...answer.body, state: [] } } : answer;
    };
    Object.assign(two.hs.remotes, { sendJoinV2: lying });
    const door = `join/${E(roomId)}?via=${E(one.name)}`;
    const joined = await onTwo("POST", door, { token: bob.token, body: {} });
    Object.assign(two.hs.remotes, { sendJoinV2 });
    expect(joined.status).toBe(502);
    const path = `rooms/${E(roomId)}/state/m.room.member/${E(bob.userId)}`;
    const member = await onOne("GET", path, { token: alice.token });
    expect(member.body).toEqual({ membership: "leave" });
    expect(await two.hs.sql`select from untold_leaves`).toHaveLength(0);
  });

  test("is not left by whom its own state bans: such a leave is no more allowed than the join", async () => {
    const { roomId } = await roomOf();
    const { makeJoin, sendJoinV2, makeLeave } = two.hs.remotes;
    const question = { roomId, userId: bob.userId, versions: VERSIONS };
    const template = await makeJoin(one.name, question);
    if (!template.ok) throw new Error(template.why);
    const body = { user_id: bob.userId };
    await onOne("POST", `rooms/${E(roomId)}/ban`, { token: alice.token, body });
    const rows = await one.hs.sql<{ event_id: string; state_key: string; json: string }[]>`
      select event_id, state_key, json from events join rooms using (room_key)
      where room_id = ${roomId} and state_key is not null order by event_key`;
    const banId = rows.find((it) => it.state_key === bob.userId)?.event_id;
    const state = rows.map((it) => JSON.parse(it.json) as object);
    const { event } = template.body;
    const auth_events = [...(event["auth_events"] as unknown[]), banId];
    let left = 0;
    // As if the server did not look whether it has banned him.
    Object.assign(two.hs.remotes, {
      makeJoin: () => ({ ok: true, body: { ...template.body, event: { ...event, auth_events } } }),
      sendJoinV2: () => ({ ok: true, body: { state, auth_chain: state } }),
      makeLeave: async (...asked: Parameters<typeof makeLeave>) => {
        left++;
        return await makeLeave(...asked);
      },
    });
    const door = `join/${E(roomId)}?via=${E(one.name)}`;
    const joined = await onTwo("POST", door, { token: bob.token, body: {} });
    Object.assign(two.hs.remotes, { makeJoin, sendJoinV2, makeLeave });
    expect(joined).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    expect(left).toBe(0);
    expect(await two.hs.sql`select from untold_leaves`).toHaveLength(0);
  });

  test("is joined here if that is allowed once another server has refused", async () => {
    const dave = await user(onTwo, "dave");
    const { roomId: allowed } = await roomOf();
    const allow = [{ type: "m.room_membership", room_id: allowed, via: [one.name] }];
    const content = { join_rule: "restricted", allow };
    const levels = (users: object) => ({ users, invite: 50 });
    const { roomId } = await roomOf({
      initial_state: [{ type: "m.room.join_rules", state_key: "", content }],
      power_level_content_override: levels({}),
    });
    const join = async ({ token }: User, id: string) => {
      const path = `join/${E(id)}?via=${E(one.name)}`;
      return (await onTwo("POST", path, { token, body: {} })).status;
    };
    for (const [who, id] of [
      [bob, allowed],
      [bob, roomId],
      [dave, allowed],
    ] as const) {
      expect(await join(who, id)).toBe(200);
    }
    const { makeJoin } = two.hs.remotes;
    // Meanwhile, bob becomes one who may let dave in.
    const refusing = async () => {
      const path = `rooms/${E(roomId)}/state/m.room.power_levels/`;
      const body = levels({ [bob.userId]: 50 });
      await onOne("PUT", path, { token: alice.token, body });
      const seen = async () => (await onTwo("GET", path, { token: bob.token })).body.users;
      await expect.poll(seen).toEqual({ [bob.userId]: 50 });
      return { ok: false, why: "refused", status: 403, errcode: "M_FORBIDDEN", body: {} };
    };
    Object.assign(two.hs.remotes, { makeJoin: refusing });
    const joined = await join(dave, roomId);
    Object.assign(two.hs.remotes, { makeJoin });
    expect(joined).toBe(200);
    const member = `rooms/${E(roomId)}/state/m.room.member/${E(dave.userId)}`;
    const { body } = await onTwo("GET", member, { token: bob.token });
    expect(body.join_authorised_via_users_server).toBe(bob.userId);
  });

  test("is not joined if it does not let the user in, or nobody knows it", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    const closed = await onTwo("POST", `join/${E(roomId)}?via=${E(one.name)}`, {
      token: bob.token,
      body: {},
    });
    expect(closed).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
    const path = "join/%21nowhere%3Ahs1.test";
    for (const query of ["", `?via=${E(one.name)}`, `?via=${E(two.name)}`]) {
      const unknown = await onTwo("POST", `${path}${query}`, { token: bob.token, body: {} });
      expect(unknown).toMatchObject({ status: 404, body: { errcode: "M_NOT_FOUND" } });
    }
    const nowhere = await onTwo("POST", `${path}?via=hs3.test%3A1`, { token: bob.token, body: {} });
    expect(nowhere.status).toBe(502);
    expect(
      (await onTwo("POST", `join/${E(`#none:${one.name}`)}`, { token: bob.token, body: {} }))
        .status,
    ).toBe(404);
    expect((await onTwo("POST", `join/x?via=%00`, { token: bob.token, body: {} })).status).toBe(
      400,
    );
  });
});

describe("a server that joins", () => {
  test.each(VERSIONS)(
    "is told what made a room of version %s as a part of what authorises its state",
    async (version) => {
      const { roomId } = await roomOf({ room_version: version });
      const { state, auth_chain } = await toldAtJoin(roomId, { omitMembers: false });
      for (const its of [state, auth_chain]) {
        expect(its.filter((it) => it["type"] === "m.room.create")).toHaveLength(1);
      }
    },
  );

  test("may leave the members for later", async () => {
    const dave = await user(onOne, "dave");
    for (const name of ["Named", undefined]) {
      const { roomId } = await roomOf({ name, room_alias_name: undefined });
      await onOne("POST", `join/${E(roomId)}`, { token: dave.token, body: {} });
      const told = await toldAtJoin(roomId, { omitMembers: true });
      const { state, auth_chain, members_omitted, servers_in_room } = told;
      expect({ members_omitted, servers_in_room }).toEqual({
        members_omitted: true,
        servers_in_room: [one.name],
      });
      const members = state.filter((it) => it["type"] === "m.room.member");
      // Who has no name is known by those who are there; who has one, by nobody.
      const heroes = name === undefined ? [alice.userId, dave.userId] : [];
      expect(members.map((it) => it["state_key"])).toEqual(heroes);
      const all = [...state, ...auth_chain].map((it) => JSON.stringify(it));
      expect(new Set(all).size).toBe(all.length);
      const authorised = auth_chain.some((it) => it["state_key"] === alice.userId);
      expect(authorised).toBe(name !== undefined);
    }
  });
});

/** What is told of a room to a server that joins it for Bob. */
async function toldAtJoin(roomId: RoomId, { omitMembers }: { omitMembers: boolean }) {
  const question = { roomId, userId: bob.userId, versions: VERSIONS };
  const template = await two.hs.remotes.makeJoin(one.name, question);
  if (!template.ok) throw new Error(template.why);
  const draft = { type: "m.room.member", state_key: bob.userId, content: { membership: "join" } };
  const join = { roomId, sender: bob.userId, draft };
  const { event, wire } = signTemplate(two.hs, one.name, template.body, join);
  expect(wire["origin"]).toBe(two.name);
  const sent = { roomId, eventId: event.event_id, event: wire, omitMembers };
  const answer = await two.hs.remotes.sendJoinV2(one.name, sent);
  if (!answer.ok) throw new Error(answer.why);
  return answer.body;
}
