import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { present } from "../../spec-tests/answers.ts";
import { openStage, type Stage, stateIds } from "./testing.ts";

let stage: Stage;
let { one, two, onOne, onTwo, alice, bob, roomOf } = {} as Stage;

beforeAll(async () => {
  stage = await openStage();
  ({ one, two, onOne, onTwo, alice, bob, roomOf } = stage);
});
afterAll(async () => await stage.federation.close());

const E = encodeURIComponent;

const withRule = (content: object) => ({
  preset: "private_chat",
  initial_state: [{ type: "m.room.join_rules", state_key: "", content }],
});

const membershipOf = async (roomId: string, userId: string) =>
  (
    await onOne("GET", `rooms/${E(roomId)}/state/m.room.member/${E(userId)}`, {
      token: alice.token,
    })
  ).body;

describe("a knock", () => {
  const knock = async (idOrAlias: string, query = "") =>
    await onTwo("POST", `knock/${E(idOrAlias)}${query}`, {
      token: bob.token,
      body: { reason: "please" },
    });
  const knocks = async () =>
    (await onTwo("GET", "sync", { token: bob.token })).body.rooms?.knock ?? {};

  test.each(["7", "8", "9", "10", "11", "12"])(
    "is heard elsewhere, and leads to an invitation: version %s",
    async (room_version) => {
      const { roomId, alias } = await roomOf({ ...withRule({ join_rule: "knock" }), room_version });
      expect(await knock(alias)).toMatchObject({ status: 200, body: { room_id: roomId } });
      expect(await membershipOf(roomId, bob.userId)).toMatchObject({
        membership: "knock",
        reason: "please",
      });
      const told = present((await knocks())[roomId]).knock_state.events;
      expect(told.map((it) => it.type)).toEqual(
        expect.arrayContaining(["m.room.create", "m.room.name", "m.room.member"]),
      );
      const invite = { token: alice.token, body: { user_id: bob.userId } };
      expect((await onOne("POST", `rooms/${E(roomId)}/invite`, invite)).status).toBe(200);
      const joined = await onTwo("POST", `join/${E(roomId)}`, { token: bob.token, body: {} });
      expect(joined.status).toBe(200);
      const state = await stateIds(one, roomId);
      await expect.poll(async () => await stateIds(two, roomId)).toEqual(state);
    },
  );

  test("is taken back", async () => {
    const { roomId } = await roomOf(withRule({ join_rule: "knock" }));
    expect((await knock(roomId, `?via=${E(one.name)}`)).status).toBe(200);
    const left = await onTwo("POST", `rooms/${E(roomId)}/leave`, { token: bob.token, body: {} });
    expect(left.status).toBe(200);
    expect(await membershipOf(roomId, bob.userId)).toEqual({ membership: "leave" });
    expect(await knocks()).not.toHaveProperty([roomId]);
  });

  test("is refused where nobody may knock, and of rooms that nobody knows", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    expect(await knock(roomId, `?via=${E(one.name)}`)).toMatchObject({ status: 403 });
    const { roomId: old } = await roomOf({ preset: "private_chat", room_version: "6" });
    expect(await knock(old, `?via=${E(one.name)}`)).toMatchObject({
      status: 400,
      body: { errcode: "M_INCOMPATIBLE_ROOM_VERSION", room_version: "6" },
    });
    expect(await knock("!nowhere:hs1.test")).toMatchObject({ status: 404 });
  });
});

describe("a restricted room of another server", () => {
  const join = async (roomId: string) =>
    await onTwo("POST", `join/${E(roomId)}?via=${E(one.name)}`, { token: bob.token, body: {} });

  test.each(["8", "9", "10", "11", "12"])(
    "lets in who is in a room that it names: version %s",
    async (room_version) => {
      const { roomId: space } = await roomOf();
      const allow = [{ type: "m.room_membership", room_id: space }];
      const rule = withRule({ join_rule: "restricted", allow });
      const { roomId } = await roomOf({ ...rule, room_version });
      expect(await join(roomId)).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
      expect((await join(space)).status).toBe(200);
      expect((await join(roomId)).status).toBe(200);
      expect(await membershipOf(roomId, bob.userId)).toMatchObject({
        join_authorised_via_users_server: alice.userId,
      });
      const state = await stateIds(one, roomId);
      await expect.poll(async () => await stateIds(two, roomId)).toEqual(state);
    },
  );

  test("lets nobody in while it does not know who is in a room that it names, and says so", async () => {
    const { roomId: space } = await roomOf();
    const allow = [{ type: "m.room_membership", room_id: space }];
    const { roomId } = await roomOf(withRule({ join_rule: "restricted", allow }));
    await one.hs.sql`update rooms set is_partial = true where room_id = ${space}`;
    const unable = { status: 400, body: { errcode: "M_UNABLE_TO_AUTHORISE_JOIN" } };
    expect(await join(roomId)).toMatchObject(unable);
    await one.hs.sql`update rooms set is_partial = false where room_id = ${space}`;
    expect(await join(roomId)).toMatchObject({ status: 403, body: { errcode: "M_FORBIDDEN" } });
  });

  test("lets nobody in of whom it cannot know, and says so", async () => {
    const allow = [{ type: "m.room_membership", room_id: "!unknown:hs3.test" }];
    const { roomId } = await roomOf(withRule({ join_rule: "restricted", allow }));
    expect(await join(roomId)).toMatchObject({
      status: 400,
      body: { errcode: "M_UNABLE_TO_AUTHORISE_JOIN" },
    });
  });
});
