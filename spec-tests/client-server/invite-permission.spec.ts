import { describe, expect, test } from "vitest";
import type { SlidingAnswer } from "../answers.ts";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const STABLE = "m.invite_permission_config";
const LISTS = "org.matrix.msc4155.invite_permission_config";

const configure = async (user: TestUser, type: string, content: object) =>
  await user.call("PUT", `/v3/user/${user.userId}/account_data/${type}`, content);
const invite = async (by: TestUser, user: TestUser) => {
  const roomId = await by.createRoom();
  const path = `/v3/rooms/${roomId}/invite`;
  return { roomId, answer: await by.call("POST", path, { user_id: user.userId }) };
};
/** By both ways to sync, which must agree. */
const invitesOf = async (user: TestUser) => {
  const told = Object.keys((await user.sync()).rooms?.invite ?? {}).toSorted();
  const lists = { all: { ranges: [[0, 99]], required_state: [], timeline_limit: 0 } };
  const path = "/unstable/org.matrix.simplified_msc3575/sync";
  const { rooms } = (await user.call<SlidingAnswer>("POST", path, { lists })).body;
  const slid = Object.keys(rooms).filter((it) => rooms[it]?.invite_state !== undefined);
  expect(slid.toSorted()).toEqual(told);
  return told;
};
const blocked = refusal(403, "M_INVITE_BLOCKED");

/** @spec client-server-api#invite-permission */
describe("who wants no invitations", () => {
  test.each([STABLE, "org.matrix.msc4380.invite_permission_config"])(
    "gets none, by whichever route: %s",
    async (type) => {
      const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
      const { roomId: earlier } = await invite(alice, bob);
      expect(await invitesOf(bob)).toEqual([earlier]);
      await configure(bob, type, { default_action: "block" });
      expect((await invite(alice, bob)).answer).toMatchObject(blocked);
      const body = { invite: [bob.userId] };
      expect(await alice.call("POST", "/v3/createRoom", body)).toMatchObject(blocked);
      const member = {
        type: "m.room.member",
        state_key: bob.userId,
        content: { membership: "invite" },
      };
      const given = { initial_state: [member] };
      expect(await alice.call("POST", "/v3/createRoom", given)).toMatchObject(blocked);
      const roomId = await alice.createRoom();
      const state = `/v3/rooms/${roomId}/state/m.room.member/${bob.userId}`;
      expect(await alice.call("PUT", state, { membership: "invite" })).toMatchObject(blocked);
      expect(await invitesOf(bob)).toEqual([]);
      await configure(bob, type, { default_action: "allow" });
      expect((await invite(alice, bob)).answer.status).toBe(200);
      expect(await invitesOf(bob)).toHaveLength(2);
    },
  );

  test("may still come to public rooms", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    await configure(bob, STABLE, { default_action: "block" });
    const roomId = await alice.createRoom({ preset: "public_chat" });
    expect((await bob.call("POST", `/v3/join/${roomId}`, {})).status).toBe(200);
  });
});

/** MSC4155. */
describe("lists of who may invite", () => {
  test("block, hide and let through, users before servers", async () => {
    const [alice, bob, carol] = [
      await hs.registerUser("alice"),
      await hs.registerUser("bob"),
      await hs.registerUser("carol"),
    ];
    const server = alice.userId.slice(alice.userId.indexOf(":") + 1);
    await configure(alice, LISTS, {
      allowed_users: [bob.userId, 5],
      ignored_users: null,
      blocked_servers: [`${server.slice(0, 2)}*`],
    });
    expect((await invite(carol, alice)).answer).toMatchObject(blocked);
    const { roomId } = await invite(bob, alice);
    expect(await invitesOf(alice)).toEqual([roomId]);

    await configure(alice, LISTS, { ignored_users: [`@${carol.localpart.slice(0, 3)}*:*`] });
    const hidden = await invite(carol, alice);
    expect(hidden.answer.status).toBe(200);
    expect(await invitesOf(alice)).toEqual([roomId]);
    const { body } = await alice.call("GET", "/v3/notifications");
    expect(body.notifications.map((it) => it.room_id)).not.toContain(hidden.roomId);
  });

  test("that are none hold nobody back", async () => {
    const [alice, bob] = [await hs.registerUser("alice"), await hs.registerUser("bob")];
    await configure(alice, LISTS, { blocked_users: "everybody", ignored_servers: { "*": true } });
    expect((await invite(bob, alice)).answer.status).toBe(200);
  });
});
