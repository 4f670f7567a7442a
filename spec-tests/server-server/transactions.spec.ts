import { describe, expect, test } from "vitest";
import { type ClientEvent, joinedRoom, receiptsIn } from "../answers.ts";
import { refusal } from "../client-server/client.ts";
import { joinRoom, message, sendTransaction } from "./peer-room.ts";
import { E, federatingHomeserver, good, openPeer, V1 } from "./peer.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");
const bob = peer.user("bob");

const newRoom = async () => {
  const roomId = await alice.createRoom({ preset: "public_chat" });
  return await joinRoom(peer, roomId, bob);
};
const bodyOf = async (roomId: string, eventId: string) => {
  const { status, body } = await alice.call("GET", `/v3/rooms/${E(roomId)}/event/${E(eventId)}`);
  return status === 200 ? body.content.body : status;
};

/** @spec server-server-api#put_matrixfederationv1sendtxnid */
describe("sendTransaction", () => {
  test("brings events, and says of each what came of it", async () => {
    const room = await newRoom();
    const one = room.build(bob, message("one"));
    const two = room.build(bob, message("two"), [one.id]);
    const { pdus } = good(await sendTransaction(peer, { pdus: [one.wire, two.wire] }, "both"));
    expect(pdus).toEqual({ [one.id]: {}, [two.id]: {} });
    expect(await bodyOf(room.roomId, two.id)).toBe("two");
  });

  test("is answered the same when it comes again, and does nothing then", async () => {
    const room = await newRoom();
    const one = room.build(bob, message("once"));
    const first = good(await sendTransaction(peer, { pdus: [one.wire] }, "twice"));
    const again = good(await sendTransaction(peer, { pdus: [one.wire] }, "twice"));
    expect(again).toEqual(first);
    const { chunk } = (await alice.call("GET", `/v3/rooms/${E(room.roomId)}/messages?dir=b`)).body;
    expect(chunk.filter((it) => it.content.body === "once")).toHaveLength(1);
  });

  test("refuses what is forged or not allowed, one by one", async () => {
    const room = await newRoom();
    const well = room.build(bob, message("well"));
    const { signatures: _, ...unsigned } = room.build(bob, message("unsigned")).wire;
    const changed = room.build(bob, { type: "org.example.note", content: { body: "as it was" } });
    const level = { type: "m.room.name", state_key: "", content: { name: "Mine" } };
    const overreach = room.build(bob, level);
    const stranger = room.build(peer.user("eve"), message("not here"));
    const denied = [unsigned, overreach.wire, stranger.wire];
    const { pdus } = good(
      await sendTransaction(peer, { pdus: [...denied, well.wire, null, 1, {}] }, "mixed"),
    );
    expect(pdus[well.id]).toEqual({});
    for (const { id } of [overreach, stranger]) {
      // That they are rejected is no fault of the transaction's: they have been dealt with.
      expect(pdus[id]).toEqual({});
      expect(await bodyOf(room.roomId, id)).toBe(404);
    }
    expect(await bodyOf(room.roomId, well.id)).toBe("well");
    // Whose hash is wrong is taken as it would be redacted. @spec server-server-api#checks-performed-on-receipt-of-a-pdu
    const content = { body: "something else" };
    good(await sendTransaction(peer, { pdus: [{ ...changed.wire, content }] }, "changed"));
    expect(await bodyOf(room.roomId, changed.id)).toBe(undefined);
  });

  test("takes nothing of a room that the server is not in, or is denied in", async () => {
    const room = await newRoom();
    const outsider = await openPeer(hs);
    const theirs = await joinRoom(outsider, room.roomId, outsider.user("carol"));
    const before = theirs.build(outsider.user("carol"), message("before"));
    const acl = { allow: ["*"], deny: ["127.0.0.1"], allow_ip_literals: true };
    await alice.call("PUT", `/v3/rooms/${E(room.roomId)}/state/m.room.server_acl/`, acl);
    const { pdus } = good(await sendTransaction(outsider, { pdus: [before.wire] }, "denied"));
    expect(pdus[before.id]?.error).toEqual(expect.any(String));
    expect(await bodyOf(room.roomId, before.id)).toBe(404);
    const nowhere = { ...before.wire, room_id: "!none:hs.test" };
    expect((await sendTransaction(peer, { pdus: [nowhere] }, "nowhere")).status).toBe(200);
  });

  // @spec rooms/v3#handling-redactions
  test("brings redactions, of which clients hear only if they redact something", async () => {
    const [room, other] = [await newRoom(), await newRoom()];
    const hers = await alice.sendText(room.roomId, "by alice");
    const his = await room.send(bob, message("by bob"));
    const elsewhere = await other.send(bob, message("by bob, elsewhere"));
    const { next_batch } = (await alice.call("GET", "/v3/sync")).body;
    const redacting = (redacts: string) => ({ type: "m.room.redaction", content: { redacts } });
    const redactions: string[] = [];
    for (const it of [hers, his, elsewhere, "$none"]) {
      redactions.push(await room.send(bob, redacting(it)));
    }
    const last = await room.send(bob, message("after it all"));
    const seen = [redactions[1], last];
    const told = await alice.sync({ since: next_batch });
    const idsIn = (events: readonly ClientEvent[]) => events.map((it) => it.event_id);
    expect(idsIn(joinedRoom(told, room.roomId).timeline.events)).toEqual(seen);
    const path = `/v3/rooms/${E(room.roomId)}/messages?dir=b&limit=2`;
    expect(idsIn((await alice.call("GET", path)).body.chunk)).toEqual(seen.toReversed());
    expect(await bodyOf(room.roomId, redactions[0] ?? "")).toBe(404);
    expect(await bodyOf(room.roomId, hers)).toBe("by alice");
    expect(await bodyOf(other.roomId, elsewhere)).toBe("by bob, elsewhere");
  });

  test("gets what is missing before an event from the server that sent it", async () => {
    const room = await newRoom();
    const missing = room.build(bob, message("missing"));
    const last = room.build(bob, message("last"), [missing.id]);
    peer.answers = ({ path }) =>
      path === `${V1}/get_missing_events/${room.roomId}` ? { events: [missing.wire] } : undefined;
    const { pdus } = good(await sendTransaction(peer, { pdus: [last.wire] }, "gap"));
    expect(pdus).toEqual({ [last.id]: {} });
    expect(await bodyOf(room.roomId, missing.id)).toBe("missing");
  });

  test("brings typing, receipts and messages to devices, each from its user's server", async () => {
    const room = await newRoom();
    const eventId = await alice.sendText(room.roomId, "read");
    const ts = Date.now();
    const receipt = (userId: string) => ({
      edu_type: "m.receipt",
      content: {
        [room.roomId]: { "m.read": { [userId]: { data: { ts }, event_ids: [eventId] } } },
      },
    });
    const typing = (user_id: string) => ({
      edu_type: "m.typing",
      content: { room_id: room.roomId, user_id, typing: true },
    });
    const direct = (sender: string, message_id: string) => ({
      edu_type: "m.direct_to_device",
      content: {
        sender,
        type: "org.example.signal",
        message_id,
        messages: { [alice.userId]: { "*": { from: sender } } },
      },
    });
    const edus = [
      { edu_type: "org.example.unknown", content: {} },
      { edu_type: "m.typing", content: null },
      ...["@x:other.test", alice.userId, bob].flatMap((it) => [
        receipt(it),
        typing(it),
        direct(it, `of ${it}`),
      ]),
      direct(bob, `of ${bob}`),
    ];
    expect(good(await sendTransaction(peer, { edus }, "edus")).pdus).toEqual({});
    const answer = await alice.syncUntil((it) => (it.to_device?.events ?? []).length > 0);
    expect(answer.to_device?.events.map((it) => [it.sender, it.content])).toEqual([
      [bob, { from: bob }],
    ]);
    const told = joinedRoom(answer, room.roomId);
    expect(JSON.stringify(told.ephemeral)).not.toContain("other.test");
    const typists = told.ephemeral.events.flatMap(({ content }) => content.user_ids ?? []);
    const readers = Object.keys(receiptsIn(told)[eventId]?.["m.read"] ?? {});
    expect({ typists, readers }).toEqual({ typists: [bob], readers: [bob] });
  });

  test("is refused if it is too much, or none", async () => {
    const events = (count: number) => Array.from({ length: count }, () => ({}));
    const send = async (body: object) => await peer.ask("PUT", `${V1}/send/odd`, body);
    for (const body of [{ pdus: events(51) }, { pdus: {} }, { edus: events(101) }]) {
      expect(await send(body)).toMatchObject(refusal(400, "M_BAD_JSON"));
    }
    const id = "x".repeat(600);
    expect(await sendTransaction(peer, {}, id)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});
