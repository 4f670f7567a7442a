import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, test } from "vitest";
import { present } from "../answers.ts";
import { E } from "../server-server/peer.ts";
import { refusal, type TestUser } from "./client.ts";
import { newAddress, openThirdPartyStage } from "./third-party-stage.ts";

const { hs, id, alice, bind, invite, room, stateOf, pendingIn, membershipIn, whatWasAsked, reset } =
  await openThirdPartyStage();
beforeEach(reset);

const invitesOf = async (user: TestUser) => (await user.sync()).rooms?.invite ?? {};

/** @spec client-server-api#third-party-invites */
describe("inviteBy3PID", () => {
  test("invites the user who has bound the address", async () => {
    const bob = await hs.registerUser("bob");
    const [address, roomId] = [newAddress(), await room()];
    id.bind(address, bob.userId);
    expect(await invite(roomId, id.invite(address))).toMatchObject({ status: 200, body: {} });
    expect(Object.keys(await invitesOf(bob))).toEqual([roomId]);
    expect(await pendingIn(roomId)).toEqual([]);
    expect(whatWasAsked()).toEqual(["hash_details", "lookup"]);
    // Nobody needs to see the address.
    expect(JSON.stringify(id.asked)).not.toContain(address);
    expect(id.asked.map((it) => it.token)).toEqual([id.accessToken, id.accessToken]);
  });

  test("shows the address to an identity server that knows no hashes", async () => {
    const bob = await hs.registerUser("bob");
    const [address, roomId] = [newAddress(), await room()];
    id.algorithms = ["none"];
    id.bind(address, bob.userId);
    expect((await invite(roomId, id.invite(address))).status).toBe(200);
    expect(id.asked.at(-1)?.body["addresses"]).toEqual([`${address} email`]);
    expect(await membershipIn(roomId, bob.userId)).toBe("invite");
  });

  test("finds an address however its letters are written", async () => {
    const bob = await hs.registerUser("bob");
    const roomId = await room();
    id.bind("strauss@example.com", bob.userId);
    expect((await invite(roomId, id.invite("Strauß@EXAMPLE.com"))).status).toBe(200);
    expect(await membershipIn(roomId, bob.userId)).toBe("invite");
  });

  test("asks again with the new pepper when it was exchanged in between, once", async () => {
    const [address, roomId] = [newAddress(), await room()];
    const bob = await hs.registerUser("bob");
    id.bind(address, bob.userId);
    const old = { body: { lookup_pepper: "old", algorithms: ["sha256"] } };
    id.instead = (what) => (what === "hash_details" && id.asked.length === 1 ? old : undefined);
    expect((await invite(roomId, id.invite(address))).status).toBe(200);
    expect(await membershipIn(roomId, bob.userId)).toBe("invite");
    id.asked.length = 0;
    id.instead = (what) => (what === "hash_details" ? old : undefined);
    expect(await invite(roomId, id.invite(newAddress()))).toMatchObject(refusal(502, "M_UNKNOWN"));
    expect(whatWasAsked()).toEqual(["hash_details", "lookup", "hash_details", "lookup"]);
  });

  test("invites the address if nobody has bound it, and the user once somebody has", async () => {
    const bob = await hs.registerUser("bob");
    await alice.call("PUT", `/v3/profile/${alice.userId}/displayname`, { displayname: "Alice" });
    const avatar = "mxc://hs.test/avatar";
    const roomId = await room({
      name: "Our room",
      room_alias_name: randomBytes(6).toString("hex"),
      initial_state: [{ type: "m.room.avatar", content: { url: avatar } }],
      creation_content: { type: "m.space" },
    });
    const address = newAddress();
    expect(await invite(roomId, id.invite(address))).toMatchObject({ status: 200, body: {} });
    expect(id.asked.at(-1)).toEqual({
      what: "store-invite",
      token: id.accessToken,
      body: {
        medium: "email",
        address,
        room_id: roomId,
        sender: alice.userId,
        room_name: "Our room",
        room_alias: expect.stringMatching(/^#.*:hs\.test$/),
        room_avatar_url: avatar,
        room_join_rules: "invite",
        room_type: "m.space",
        sender_display_name: "Alice",
      },
    });
    const pendings = await pendingIn(roomId);
    expect(pendings).toHaveLength(1);
    const pending = present(pendings[0]);
    expect(pending.sender).toBe(alice.userId);
    expect(pending.state_key).toMatch(/^token/);
    const { public_keys: [key] = [], ...content } = pending.content;
    expect(content).toEqual({
      display_name: expect.stringMatching(/^.\.\.\.@e\.\.\.$/),
      ...key,
    });
    expect(JSON.stringify(pending)).not.toContain(address);

    expect((await bind(address, bob.userId)).status).toBe(200);
    const { events } = present((await invitesOf(bob))[roomId]).invite_state;
    const member = present(events.find((it) => it.state_key === bob.userId));
    expect(member.sender).toBe(alice.userId);
    expect(member.content["third_party_invite"]).toMatchObject({
      display_name: content.display_name,
      signed: { mxid: bob.userId, token: pending.state_key },
    });
    expect((await bob.call("POST", `/v3/rooms/${E(roomId)}/join`, {})).status).toBe(200);
    expect(await membershipIn(roomId, bob.userId)).toBe("join");
  });

  test("leaves a member a member who binds the address later", async () => {
    const bob = await hs.registerUser("bob");
    const [address, roomId] = [newAddress(), await room()];
    expect((await invite(roomId, id.invite(address))).status).toBe(200);
    expect((await invite(roomId, { user_id: bob.userId })).status).toBe(200);
    expect((await bob.call("POST", `/v3/rooms/${E(roomId)}/join`, {})).status).toBe(200);
    expect((await bind(address, bob.userId)).status).toBe(200);
    expect(await membershipIn(roomId, bob.userId)).toBe("join");
  });

  test("stands when who has invited has left", async () => {
    const [bob, carol] = [await hs.registerUser("bob"), await hs.registerUser("carol")];
    const [address, roomId] = [newAddress(), await room({ invite: [carol.userId] })];
    await carol.call("POST", `/v3/rooms/${E(roomId)}/join`, {});
    expect((await invite(roomId, id.invite(address), carol)).status).toBe(200);
    await carol.call("POST", `/v3/rooms/${E(roomId)}/leave`, {});
    expect((await bind(address, bob.userId)).status).toBe(200);
    expect(await membershipIn(roomId, bob.userId)).toBe("invite");
  });

  test("invites the user who has bound the address just now", async () => {
    const bob = await hs.registerUser("bob");
    const [address, roomId] = [newAddress(), await room()];
    id.bind(address, bob.userId);
    id.instead = (what) => (what === "lookup" ? { body: { mappings: {} } } : undefined);
    expect((await invite(roomId, id.invite(address))).status).toBe(200);
    expect(await membershipIn(roomId, bob.userId)).toBe("invite");
    expect(await pendingIn(roomId)).toEqual([]);
  });

  test("asks nobody for one who may not invite", async () => {
    const [bob, eve] = [await hs.registerUser("bob"), await hs.registerUser("eve")];
    const roomId = await room({
      power_level_content_override: { invite: 50 },
      invite: [bob.userId],
    });
    await bob.call("POST", `/v3/rooms/${E(roomId)}/join`, {});
    const guest = await hs.registerGuest();
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await invite(roomId, id.invite(newAddress()), bob)).toMatchObject(forbidden);
    expect(await invite(roomId, id.invite(newAddress()), eve)).toMatchObject(forbidden);
    expect(await invite("!none:hs.test", id.invite(newAddress()))).toMatchObject(forbidden);
    expect(await invite(roomId, id.invite(newAddress()), guest)).toMatchObject(
      refusal(403, "M_GUEST_ACCESS_FORBIDDEN"),
    );
    expect(id.asked).toEqual([]);
  });

  test("is refused of a user who is banned, is in the room, or does not want to be invited", async () => {
    const [bob, carol] = [await hs.registerUser("bob"), await hs.registerUser("carol")];
    const [mine, bobs, carols, roomId] = [newAddress(), newAddress(), newAddress(), await room()];
    id.bind(mine, alice.userId);
    id.bind(bobs, bob.userId);
    id.bind(carols, carol.userId);
    await alice.call("POST", `/v3/rooms/${E(roomId)}/ban`, { user_id: bob.userId });
    const config = `/v3/user/${carol.userId}/account_data/m.invite_permission_config`;
    await carol.call("PUT", config, { default_action: "block" });
    const forbidden = refusal(403, "M_FORBIDDEN");
    expect(await invite(roomId, id.invite(mine))).toMatchObject(forbidden);
    expect(await invite(roomId, id.invite(bobs))).toMatchObject(forbidden);
    expect(await invite(roomId, id.invite(carols))).toMatchObject(refusal(403, "M_INVITE_BLOCKED"));
  });
});

/** @spec client-server-api#post_matrixclientv3createroom */
describe("a new room", () => {
  test("begins with the invitations of users and addresses", async () => {
    const bob = await hs.registerUser("bob");
    const [bound, unbound] = [newAddress(), newAddress()];
    id.bind(bound, bob.userId);
    const roomId = await room({
      room_version: "11",
      preset: "trusted_private_chat",
      is_direct: true,
      invite_3pid: [id.invite(bound), id.invite(unbound)],
    });
    const state = await stateOf(roomId);
    expect(state.find((it) => it.state_key === bob.userId)?.content).toMatchObject({
      membership: "invite",
      is_direct: true,
    });
    expect(state.find((it) => it.type === "m.room.power_levels")?.content.users[bob.userId]).toBe(
      100,
    );
    expect(await pendingIn(roomId)).toHaveLength(1);
    expect(id.asked.at(-1)?.body).toMatchObject({ address: unbound, room_id: roomId });
  });

  test("is not made if nobody can say who has the address", async () => {
    const before = (await alice.call("GET", "/v3/joined_rooms")).body.joined_rooms;
    const room_alias_name = randomBytes(6).toString("hex");
    const request = { room_alias_name, invite_3pid: [id.invite(newAddress())] };
    id.instead = () => ({ status: 503, body: "down" });
    expect(await alice.call("POST", "/v3/createRoom", request)).toMatchObject(
      refusal(502, "M_UNKNOWN"),
    );
    const many = Array.from({ length: 21 }, () => id.invite(newAddress()));
    for (const invite_3pid of [[{}], [5], ["x"], {}, many]) {
      expect((await alice.call("POST", "/v3/createRoom", { invite_3pid })).status).toBe(400);
    }
    expect((await alice.call("GET", "/v3/joined_rooms")).body.joined_rooms).toEqual(before);
    id.instead = () => undefined;
    expect((await alice.call("POST", "/v3/createRoom", request)).status).toBe(200);
  });

  test("is made also if the invitation of an address cannot be kept", async () => {
    id.instead = (what) => (what === "store-invite" ? { status: 503, body: "down" } : undefined);
    const roomId = await room({ invite_3pid: [id.invite(newAddress())] });
    expect(await pendingIn(roomId)).toEqual([]);
  });
});
