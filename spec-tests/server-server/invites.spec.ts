import { beforeEach, describe, expect, test } from "vitest";
import { refusal, type TestUser } from "../client-server/client.ts";
import { newPair, signed } from "../client-server/signing.ts";
import { madePdu, signaturesOf } from "./pdu.ts";
import { E, federatingHomeserver, good, HS, openPeer, type Peer, V1, V2 } from "./peer.ts";
import type { ServerBody } from "./server-answers.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");
const bob = peer.user("bob");

let rooms = 0;

/** An invitation to a room of the peer's, and the first event of the room. */
function invitation(
  userId: string,
  { version = "11", by = peer }: { version?: string; by?: Peer } = {},
) {
  rooms += 1;
  const isOld = version === "1";
  const common = {
    room_id: `!room${rooms}:${by.name}`,
    sender: by.user("bob"),
    origin_server_ts: Date.now(),
  };
  const create = madePdu(by, {
    ...common,
    ...(isOld && { event_id: `$create${rooms}:${by.name}` }),
    type: "m.room.create",
    state_key: "",
    content: { room_version: version, ...(isOld && { creator: bob }) },
    prev_events: [],
    auth_events: [],
    depth: 1,
  });
  const before = [isOld ? [create.id, { sha256: "AAAA" }] : create.id];
  const invite = madePdu(by, {
    ...common,
    ...(isOld && { event_id: `$invite${rooms}:${by.name}` }),
    type: "m.room.member",
    state_key: userId,
    content: { membership: "invite" },
    prev_events: before,
    auth_events: before,
    depth: 2,
  });
  return { roomId: common.room_id, version, create, invite };
}

type Invitation = ReturnType<typeof invitation>;

const invitesOf = async (user: TestUser) => (await user.sync()).rooms?.invite ?? {};

const v2 = async (
  { roomId, version, create, invite }: Invitation,
  {
    by = peer,
    ...instead
  }: { by?: Peer; event?: object; room_version?: string; invite_room_state?: unknown } = {},
) =>
  await by.ask("PUT", `${V2}/invite/${E(roomId)}/${E(invite.id)}`, {
    room_version: version,
    event: invite.wire,
    invite_room_state: [create.wire],
    ...instead,
  });

/** @spec server-server-api#put_matrixfederationv2inviteroomideventid */
describe("sendInviteV2", () => {
  test("is shown to the user, and signed as seen", async () => {
    const user = await hs.registerUser("invited");
    const it = invitation(user.userId);
    const { event } = good(await v2(it));
    expect(Object.keys(event.signatures ?? {}).toSorted()).toEqual([peer.name, HS].toSorted());
    expect(event).toMatchObject({ state_key: user.userId, content: { membership: "invite" } });
    const told = (await invitesOf(user))[it.roomId]?.invite_state.events;
    expect(told?.map(({ type }) => type)).toEqual(
      expect.arrayContaining(["m.room.create", "m.room.member"]),
    );
  });

  test("is refused if it is forged, for nobody here, or by a server that is not its sender's", async () => {
    const user = await hs.registerUser("not-invited");
    const it = invitation(user.userId);
    const { signatures: _, ...unsigned } = it.invite.wire;
    const other = await openPeer(hs);
    const forged = { ...unsigned, signatures: { [peer.name]: { "ed25519:1": "AAAA" } } };
    expect(await v2(it, { event: forged })).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await v2(it, { by: other })).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await v2(it, { event: unsigned })).toMatchObject(refusal(400, "M_BAD_JSON"));
    const half = { ...it.invite.wire, content: { membership: "invite", half: 0.5 } };
    expect(await v2(it, { event: half })).toMatchObject(refusal(400, "M_BAD_JSON"));
    for (const answer of [
      await v2(it, { event: { ...it.invite.wire, content: { membership: "join" } } }),
      await v2(it, { event: { ...it.invite.wire, depth: 9 } }),
      await v2(it, { event: it.create.wire }),
      await v2(invitation("@nobody:hs.test")),
      await v2(invitation("@x:other.test")),
      await v2(invitation(bob)),
    ]) {
      expect([400, 403], answer.text).toContain(answer.status);
      expect(answer.body.errcode).toMatch(/^M_/);
    }
    expect(await invitesOf(user)).toEqual({});
  });

  test("is refused for a room version that is none, and with no room state that is the room's", async () => {
    const user = await hs.registerUser("not-invited");
    const it = invitation(user.userId);
    expect(await v2(it, { room_version: "org.example" })).toMatchObject(
      refusal(400, "M_INCOMPATIBLE_ROOM_VERSION"),
    );
    expect(await v2(it, { invite_room_state: "x" })).toMatchObject({ status: 400 });
    expect(await v2(it, { event: [] as object })).toMatchObject(refusal(400, "M_BAD_JSON"));
  });
});

/** @spec server-server-api#put_matrixfederationv1inviteroomideventid */
describe("sendInviteV1", () => {
  const v1 = async ({ roomId, invite, create }: Invitation, event: object = invite.wire) =>
    await peer.ask<[number, Pick<ServerBody, "event">]>(
      "PUT",
      `${V1}/invite/${E(roomId)}/${E(invite.id)}`,
      {
        ...event,
        unsigned: { invite_room_state: [create.wire] },
      },
    );

  test("is shown to the user, in rooms of the first versions", async () => {
    const user = await hs.registerUser("invited");
    const it = invitation(user.userId, { version: "1" });
    const [status, { event }] = good(await v1(it));
    expect(status).toBe(200);
    expect(Object.keys(event.signatures ?? {})).toContain(HS);
    expect(Object.keys(await invitesOf(user))).toEqual([it.roomId]);
  });

  test("is refused if it is forged", async () => {
    const user = await hs.registerUser("not-invited");
    const it = invitation(user.userId, { version: "1" });
    const answer = await v1(it, { ...it.invite.wire, depth: 7 });
    expect([400, 403]).toContain(answer.status);
    expect(await invitesOf(user)).toEqual({});
  });
});

describe("an invitation by an address", () => {
  const IS_VALID = "/_matrix/identity/v2/pubkey/isvalid";
  const pair = newPair();
  beforeEach(() => {
    peer.answers = ({ path, body }) => {
      if (path === IS_VALID) return { valid: true };
      if (!path.startsWith(`${V2}/invite/`)) return undefined;
      return { event: { ...body.event, signatures: signaturesOf(peer, body.event) } };
    };
  });
  const signedFor = (mxid: string, token: string) =>
    signed({ mxid, token, signatures: {} }, "id.test", { name: "0", pair });

  /** A room in which somebody was invited by an address. */
  async function roomWith(token: string) {
    return await alice.createRoom({
      preset: "private_chat",
      initial_state: [
        {
          type: "m.room.third_party_invite",
          state_key: token,
          content: {
            display_name: "b...@p...",
            key_validity_url: `https://${peer.name}${IS_VALID}`,
            public_key: pair.publicKey,
          },
        },
      ],
    });
  }

  /** @spec server-server-api#put_matrixfederationv1exchange_third_party_inviteroomid */
  describe("exchangeThirdPartyInvite", () => {
    const exchange = async (roomId: string, signed: object, sender: string = alice.userId) =>
      await peer.ask("PUT", `${V1}/exchange_third_party_invite/${E(roomId)}`, {
        type: "m.room.member",
        room_id: roomId,
        sender,
        state_key: bob,
        content: { membership: "invite", third_party_invite: { display_name: "b", signed } },
      });

    test("invites the user, whose server signs it", async () => {
      const roomId = await roomWith("token");
      expect(good(await exchange(roomId, signedFor(bob, "token")))).toEqual({});
      const path = `/v3/rooms/${E(roomId)}/state/m.room.member/${E(bob)}`;
      expect((await alice.call("GET", path)).body.membership).toBe("invite");
    });

    test("is refused if the key that vouches for it is no longer valid, or nobody can say", async () => {
      const roomId = await roomWith("revoked");
      peer.answers = ({ path }) => (path === IS_VALID ? { valid: false } : undefined);
      expect(await exchange(roomId, signedFor(bob, "revoked"))).toMatchObject(
        refusal(403, "M_FORBIDDEN"),
      );
      peer.answers = () => undefined;
      expect(await exchange(roomId, signedFor(bob, "revoked"))).toMatchObject(
        refusal(502, "M_UNKNOWN"),
      );
    });

    test("leaves a user invited who is", async () => {
      const roomId = await roomWith("twice");
      expect(good(await exchange(roomId, signedFor(bob, "twice")))).toEqual({});
      peer.asked.length = 0;
      expect(good(await exchange(roomId, signedFor(bob, "twice")))).toEqual({});
      expect(peer.asked).toEqual([]);
    });

    test("is refused if the address is somebody else's, or nobody has invited it", async () => {
      const roomId = await roomWith("other");
      for (const answer of [
        await exchange(roomId, signedFor(peer.user("eve"), "other")),
        await exchange(roomId, signedFor(bob, "none")),
        await exchange(roomId, { ...signedFor(bob, "other"), signatures: {} }),
        await exchange(roomId, signedFor(bob, "other"), "@x:other.test"),
      ]) {
        expect([400, 403], answer.text).toContain(answer.status);
      }
      expect(await exchange("!none:hs.test", signedFor(bob, "other"))).toMatchObject(
        refusal(404, "M_NOT_FOUND"),
      );
      expect(
        (await peer.ask("PUT", `${V1}/exchange_third_party_invite/${E(roomId)}`, {})).status,
      ).toBe(400);
    });
  });

  /** @spec server-server-api#put_matrixfederationv13pidonbind */
  describe("onBindThirdPartyIdentifier", () => {
    const onbind = async (
      mxid: string,
      invites?: readonly object[],
      method: "PUT" | "POST" = "PUT",
    ) =>
      await hs.request(method, `${V1}/3pid/onbind`, {
        body: { medium: "email", address: "b@p.test", mxid, ...(invites && { invites }) },
      });

    // Identity servers say POST, whatever the specification says.
    test.each(["PUT", "POST"] as const)("makes the invitation the user's: %s", async (method) => {
      const user = await hs.registerUser("bound");
      const roomId = await roomWith("mine");
      const signed = signedFor(user.userId, "mine");
      const invites = [{ room_id: roomId, sender: alice.userId, signed }];
      expect(good(await onbind(user.userId, invites, method))).toEqual({});
      expect(Object.keys(await invitesOf(user))).toEqual([roomId]);
      expect(good(await onbind(user.userId, undefined, method))).toEqual({});
    });

    test("does nothing that nobody has signed, and takes no nonsense", async () => {
      const user = await hs.registerUser("unbound");
      const roomId = await roomWith("yours");
      const signed = { ...signedFor(user.userId, "yours"), signatures: {} };
      const invites = [{ room_id: roomId, sender: alice.userId, signed }];
      expect(await onbind(user.userId, invites)).toMatchObject(refusal(403, "M_FORBIDDEN"));
      expect(await invitesOf(user)).toEqual({});
      expect(await onbind("nobody", [])).toMatchObject(refusal(400, "M_INVALID_PARAM"));
      expect((await onbind(user.userId, [{}])).status).toBe(400);
    });

    test("is refused for a user who is not here, or not any more", async () => {
      const user = await hs.registerUser("gone");
      const { userId, localpart, password } = user;
      const identifier = { type: "m.id.user", user: localpart };
      const auth = { type: "m.login.password", identifier, password };
      expect((await user.call("POST", "/v3/account/deactivate", { auth })).status).toBe(200);
      const roomId = await roomWith("nobody");
      for (const mxid of [userId, `${userId}x`, "@x:other.test"]) {
        const signed = signedFor(mxid, "nobody");
        const invites = [{ room_id: roomId, sender: alice.userId, signed }];
        expect(await onbind(mxid, invites), mxid).toMatchObject(refusal(403, "M_FORBIDDEN"));
      }
    });

    test("takes what it can, and has the rest told again if it may come to something later", async () => {
      const user = await hs.registerUser("partly");
      const good = await roomWith("good");
      const told = (roomId: string, token: string) => ({
        room_id: roomId,
        sender: alice.userId,
        signed: signedFor(user.userId, token),
      });
      const invites = [told(good, "bad"), told("!elsewhere", "some"), told(good, "good")];
      const elsewhere = { ...told("!other", "some"), sender: "@x:127.0.0.1:1" };
      expect(await onbind(user.userId, [elsewhere, ...invites])).toMatchObject(
        refusal(502, "M_UNKNOWN"),
      );
      expect(Object.keys(await invitesOf(user))).toEqual([good]);
    });
  });
});
