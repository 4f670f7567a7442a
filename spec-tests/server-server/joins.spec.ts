import { describe, expect, test } from "vitest";
import { refusal } from "../client-server/client.ts";
import type { Pdu } from "./pdu.ts";
import { joinRoom, message, sendTransaction, signedTemplate, VERSIONS } from "./peer-room.ts";
import { E, federatingHomeserver, good, openPeer, V1, V2 } from "./peer.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");
const bob = peer.user("bob");
const open = await alice.createRoom({ preset: "public_chat", name: "Open" });
const closed = await alice.createRoom({ preset: "private_chat" });
const ofKnocks = await alice.createRoom({
  name: "Gate",
  initial_state: [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }],
});
const denying = await alice.createRoom({
  preset: "public_chat",
  initial_state: [
    {
      type: "m.room.server_acl",
      state_key: "",
      content: { allow: ["*"], deny: ["127.0.0.1"], allow_ip_literals: true },
    },
  ],
});

const FORGED = { [peer.name]: { "ed25519:1": "AAAA" } };

const proposed = async (kind: string, roomId: string, user = bob, versions = VERSIONS) =>
  await peer.ask("GET", `${V1}/make_${kind}/${E(roomId)}/${E(user)}?${versions}`);
const sent = async (kind: string, { id, wire }: Pdu) =>
  await peer.ask(
    "PUT",
    `${kind === "knock" ? V1 : V2}/send_${kind}/${E(wire.room_id)}/${E(id)}`,
    wire,
  );
const membershipOf = async (roomId: string, userId: string) => {
  const path = `/v3/rooms/${E(roomId)}/state/m.room.member/${E(userId)}`;
  return (await alice.call("GET", path)).body.membership;
};

/** @spec server-server-api#get_matrixfederationv1make_joinroomiduserid */
describe("makeJoin", () => {
  test("proposes a join of the peer's user, which the room would take", async () => {
    const { room_version, event } = good(await proposed("join", open));
    expect(room_version).toMatch(/^\d+$/);
    expect(event).toMatchObject({
      type: "m.room.member",
      room_id: open,
      sender: bob,
      state_key: bob,
      content: { membership: "join" },
    });
    expect(await membershipOf(open, bob)).toBe(undefined);
  });

  test("is refused for others' users, and where the user or the server may not come", async () => {
    for (const [roomId, user] of [
      [open, alice.userId],
      [open, "@x:other.test"],
      [closed, bob],
      [denying, bob],
    ] as const) {
      const answer = await proposed("join", roomId, user);
      expect(answer).toMatchObject(refusal(403, "M_FORBIDDEN"));
    }
  });

  test("says which version the room has to who does not know it, and knows only its own rooms", async () => {
    const answer = await proposed("join", open, bob, "ver=1&ver=org.example");
    expect(answer).toMatchObject(refusal(400, "M_INCOMPATIBLE_ROOM_VERSION"));
    expect(answer.body.room_version).toMatch(/^\d+$/);
    expect(await proposed("join", "!none:hs.test")).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect(await proposed("join", "none")).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});

/** @spec server-server-api#put_matrixfederationv2send_joinroomideventid */
describe("sendJoinV2", () => {
  test("brings the user in, and tells all of the room that a server must know", async () => {
    const room = await joinRoom(peer, open, bob);
    expect(await membershipOf(open, bob)).toBe("join");
    const { state, auth_chain, event, members_omitted, origin } = room.joined;
    expect(state.map((it) => it.type)).toEqual(
      expect.arrayContaining(["m.room.create", "m.room.power_levels", "m.room.name"]),
    );
    expect(auth_chain.length).toBeGreaterThan(2);
    expect(event?.sender ?? bob).toBe(bob);
    expect([members_omitted ?? false, origin ?? "hs.test"]).toEqual([false, "hs.test"]);
    // Who is in the room may send to it.
    const eventId = await room.send(bob, message("here"));
    const path = `/v3/rooms/${E(open)}/event/${E(eventId)}`;
    expect((await alice.call("GET", path)).body.content.body).toBe("here");
  });

  test("leaves the members out for who wants that", async () => {
    const carol = peer.user("carol");
    const join = signedTemplate(peer, good(await proposed("join", open, carol)));
    const path = `${V2}/send_join/${E(open)}/${E(join.id)}?omit_members=true`;
    const answer = good(await peer.ask("PUT", path, join.wire));
    expect(answer.members_omitted).toBe(true);
    expect(answer.servers_in_room).toEqual(expect.arrayContaining(["hs.test", peer.name]));
    expect(answer.state.map((it) => it.type)).not.toContain("m.room.member");
  });

  test("takes no event that is forged, is about something else, or is not allowed", async () => {
    const dora = peer.user("dora");
    const template = good(await proposed("join", open, dora));
    const join = signedTemplate(peer, template);
    const path = (id = join.id, room = open) => `${V2}/send_join/${E(room)}/${E(id)}`;
    const { signatures: _, ...unsigned } = join.wire;
    const leave = signedTemplate(peer, template, { membership: "leave" });
    const other = await openPeer(hs);
    const asOther = signedTemplate(other, template);
    for (const [uri, body, status, errcode] of [
      [path("$other"), join.wire, 400, "M_INVALID_PARAM"],
      [path(undefined, closed), join.wire, 400, "M_INVALID_PARAM"],
      [path(), unsigned, 400, "M_BAD_JSON"],
      [path(), { ...join.wire, signatures: FORGED }, 400, "M_INVALID_PARAM"],
      [path(), { ...join.wire, depth: 1 }, 400, "M_INVALID_PARAM"],
      [path(leave.id), leave.wire, 400, "M_INVALID_PARAM"],
      [path(asOther.id), asOther.wire, 400, "M_INVALID_PARAM"],
      [path(), { ...join.wire, content: { membership: "join", half: 0.5 } }, 400, "M_BAD_JSON"],
      [path(), {}, 400, "M_BAD_JSON"],
    ] as const) {
      expect(await peer.ask("PUT", uri, body), uri).toMatchObject(refusal(status, errcode));
    }
    expect(await membershipOf(open, dora)).toBe(undefined);
    const uninvited = signedTemplate(peer, {
      ...template,
      event: { ...template.event, room_id: closed },
    });
    const answer = await sent("join", uninvited);
    expect([400, 403]).toContain(answer.status);
    expect(await peer.ask("PUT", path(undefined, "!none:hs.test"), join.wire)).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
  });
});

/** @spec server-server-api#get_matrixfederationv1make_leaveroomiduserid */
describe("makeLeave", () => {
  test("proposes to leave, to who is there or invited", async () => {
    const erin = peer.user("erin");
    await joinRoom(peer, open, erin);
    const { event } = good(await proposed("leave", open, erin));
    expect(event).toMatchObject({
      sender: erin,
      state_key: erin,
      content: { membership: "leave" },
    });
  });

  test("is refused to who is not, and of rooms that are none", async () => {
    expect(await proposed("leave", open, peer.user("nobody"))).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
    expect(await proposed("leave", open, alice.userId)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await proposed("leave", "!none:hs.test")).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

/** @spec server-server-api#put_matrixfederationv2send_leaveroomideventid */
describe("sendLeaveV2", () => {
  test("takes the user out of the room", async () => {
    const frank = peer.user("frank");
    await joinRoom(peer, open, frank);
    const leave = signedTemplate(peer, good(await proposed("leave", open, frank)));
    expect(good(await sent("leave", leave))).toEqual({});
    expect(await membershipOf(open, frank)).toBe("leave");
    // What is sent again is as it was.
    expect(good(await sent("leave", leave))).toEqual({});
  });

  test("takes no event but a leave of the peer's users", async () => {
    const gil = peer.user("gil");
    await joinRoom(peer, open, gil);
    const template = good(await proposed("leave", open, gil));
    const join = signedTemplate(peer, template, { membership: "join" });
    expect(await sent("leave", join)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const theirs = { ...template, event: { ...template.event, sender: alice.userId } };
    const kick = signedTemplate(peer, theirs);
    expect(await sent("leave", kick)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const leave = signedTemplate(peer, template);
    const forged = { ...leave, wire: { ...leave.wire, signatures: FORGED } };
    expect(await sent("leave", forged)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const half = { ...leave, wire: { ...leave.wire, content: { membership: "leave", half: 0.5 } } };
    expect(await sent("leave", half)).toMatchObject(refusal(400, "M_BAD_JSON"));
    expect(await membershipOf(open, gil)).toBe("join");
  });
});

/** @spec server-server-api#get_matrixfederationv1make_knockroomiduserid */
describe("makeKnock", () => {
  test("proposes a knock where that may be", async () => {
    const { event } = good(await proposed("knock", ofKnocks));
    expect(event).toMatchObject({ sender: bob, state_key: bob, content: { membership: "knock" } });
  });

  test("is refused where it may not be, of old rooms, and of none", async () => {
    expect(await proposed("knock", closed)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await proposed("knock", denying)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await proposed("knock", ofKnocks, bob, "ver=7")).toMatchObject(
      refusal(400, "M_INCOMPATIBLE_ROOM_VERSION"),
    );
    expect(await proposed("knock", "!none:hs.test")).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

/** @spec server-server-api#put_matrixfederationv1send_knockroomideventid */
describe("sendKnock", () => {
  test("is heard, and answered with what may be known of the room", async () => {
    const knock = signedTemplate(peer, good(await proposed("knock", ofKnocks)), { reason: "hey" });
    const { knock_room_state } = good(await sent("knock", knock));
    expect(knock_room_state.map((it) => it.type)).toEqual(
      expect.arrayContaining(["m.room.create", "m.room.join_rules", "m.room.name"]),
    );
    expect(await membershipOf(ofKnocks, bob)).toBe("knock");
  });

  test("is refused in place of a join, and where nobody may knock", async () => {
    const hal = peer.user("hal");
    const template = good(await proposed("knock", ofKnocks, hal));
    const join = signedTemplate(peer, template, { membership: "join" });
    expect(await sent("knock", join)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    const elsewhere = { ...template, event: { ...template.event, room_id: closed } };
    expect([400, 403]).toContain((await sent("knock", signedTemplate(peer, elsewhere))).status);
    expect(await membershipOf(ofKnocks, hal)).toBe(undefined);
  });
});

test("nothing is taken of a server that has left", async () => {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  const other = await openPeer(hs);
  const ines = other.user("ines");
  const room = await joinRoom(other, roomId, ines);
  const path = `${V1}/make_leave/${E(roomId)}/${E(ines)}`;
  const leave = signedTemplate(other, good(await other.ask("GET", path)));
  const uri = `${V2}/send_leave/${E(roomId)}/${E(leave.id)}`;
  good(await other.ask("PUT", uri, leave.wire));
  const late = room.build(ines, message("late"), [leave.id]);
  good(await sendTransaction(other, { pdus: [late.wire] }, "late"));
  const seen = await alice.call("GET", `/v3/rooms/${E(roomId)}/event/${E(late.id)}`);
  expect(seen).toMatchObject(refusal(404, "M_NOT_FOUND"));
});
