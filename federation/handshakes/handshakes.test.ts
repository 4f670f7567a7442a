import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RoomId } from "#src/kit/identifiers.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { type Ask, asking, registered } from "#src/testing-http.ts";
import { type FederatedHomeserver, testFederation, type TestFederation } from "../testing.ts";

let federation: TestFederation;
let one: FederatedHomeserver;
let two: FederatedHomeserver;
let onOne: Ask;
let onTwo: Ask;
let alice: User;
let bob: User;

type User = { readonly token: string; readonly userId: string };

async function user(ask: Ask, name: string): Promise<User> {
  const { access_token, user_id } = await registered(ask, name);
  return { token: access_token, userId: user_id };
}

beforeAll(async () => {
  federation = await testFederation();
  one = await federation.open({ host: "hs1.test" });
  two = await federation.open({ host: "hs2.test", processes: 2 });
  onOne = asking(one.hs);
  onTwo = asking(two.hs);
  alice = await user(onOne, "alice");
  bob = await user(onTwo, "bob");
});
afterAll(async () => await federation.close());

let aliases = 0;

/** A room of alice's, with an alias. */
async function roomOf(further: object = {}) {
  const room_alias_name = `room${aliases++}`;
  const body = { preset: "public_chat", name: "Far away", room_alias_name, ...further };
  const { body: made } = await onOne("POST", "createRoom", { token: alice.token, body });
  const roomId = made.room_id as RoomId;
  return { roomId, alias: `#${room_alias_name}:${one.name}` };
}

async function stateIds(of: FederatedHomeserver, roomId: RoomId): Promise<string[]> {
  const room = await findRoom(of.hs, roomId);
  const state = await allStateAt(of.hs, await currentStateRoot(of.hs, room?.roomKey ?? 0));
  return state.map((it) => it.eventId).toSorted();
}

const E = encodeURIComponent;
const VERSIONS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];

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
      expect(await stateIds(two, roomId)).toEqual(await stateIds(one, roomId));
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
      expect(Object.keys(sync.body.rooms.join)).toContain(roomId);
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
    const others = await Promise.all(
      ["c", "d", "e"].map(async (it) => await user(onTwo, `${it}${aliases}`)),
    );
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

describe("an invitation", () => {
  const invitesOf = async (ask: Ask, { token }: User) =>
    (await ask("GET", "sync", { token })).body.rooms?.invite ?? {};

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
      const invite = (await invitesOf(onTwo, bob))[roomId];
      const told = invite.invite_state.events as {
        type: string;
        content: object;
        state_key: string;
      }[];
      expect(told.map((it) => it.type)).toContain("m.room.create");
      expect(told.find((it) => it.type === "m.room.name")?.content).toEqual({ name: "Far away" });
      expect(told.find((it) => it.state_key === bob.userId)?.content).toEqual({
        membership: "invite",
        reason: "come",
      });
      const joined = await onTwo("POST", `rooms/${E(roomId)}/join`, { token: bob.token, body: {} });
      expect(joined.status).toBe(200);
      expect(await stateIds(two, roomId)).toEqual(await stateIds(one, roomId));
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
    const lone = await federation.open({ host: "hs3.test" });
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

  test("is not made if the other server does not sign it", async () => {
    const { roomId } = await roomOf({ preset: "private_chat" });
    const invite = async (user_id: string) =>
      await onOne("POST", `rooms/${E(roomId)}/invite`, { token: alice.token, body: { user_id } });
    expect(await invite(`@nobody:${two.name}`)).toMatchObject({ status: 403 });
    expect((await invite("@x:hs3.test:1")).status).toBe(502);
    const members = await onOne("GET", `rooms/${E(roomId)}/members`, { token: alice.token });
    expect(members.body.chunk).toHaveLength(1);
  });
});
