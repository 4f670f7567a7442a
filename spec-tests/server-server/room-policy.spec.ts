import { describe, expect, test } from "vitest";
import { refusal } from "../client-server/client.ts";
import { newPair, signed } from "../client-server/signing.ts";
import { redacted } from "./pdu.ts";
import { joinRoom, message, sendTransaction } from "./peer-room.ts";
import { E, federatingHomeserver, openPeer, Refusal } from "./peer.ts";

const hs = await federatingHomeserver();
const peer = await openPeer(hs);
const alice = await hs.registerUser("alice");
const pair = newPair();
const roomId = await alice.createRoom({ preset: "public_chat", room_version: "11" });
const bob = peer.user("bob");
const room = await joinRoom(peer, roomId, bob);
await alice.call("PUT", `/v3/rooms/${E(roomId)}/state/m.room.policy/`, {
  via: peer.name,
  public_keys: { ed25519: pair.publicKey },
});

/** Signs what is asked about, unless it says that it is bad. */
peer.answers = ({ path, body }) => {
  if (path !== "/_matrix/policy/v1/sign") return undefined;
  const said = String(body.content.body);
  if (said.startsWith("bad")) return new Refusal(400, "M_FORBIDDEN");
  const { signatures } = signed(redacted(body), peer.name, { name: "policy_server", pair });
  const own = signatures[peer.name]?.["ed25519:policy_server"];
  return { [peer.name]: { "ed25519:policy_server": said.startsWith("odd") ? "AAAA" : own } };
};
const askedAbout = () =>
  peer.asked
    .filter((it) => it.path === "/_matrix/policy/v1/sign")
    .map((it) => it.body.content.body);

/** @spec server-server-api#post_matrixpolicyv1sign */
describe("askPolicyServerToSign", () => {
  test("is asked about what a user of this server sends, before it is sent", async () => {
    const eventId = await alice.sendText(roomId, "good of ours");
    expect(askedAbout()).toContain("good of ours");
    const { pdus } = (await peer.ask("GET", `/_matrix/federation/v1/event/${E(eventId)}`)).body;
    expect(pdus[0]?.signatures?.[peer.name]).toHaveProperty(["ed25519:policy_server"]);
    for (const body of ["bad of ours", "odd of ours"]) {
      const path = `/v3/rooms/${E(roomId)}/send/m.room.message/${body.replaceAll(" ", "-")}`;
      const answer = await alice.call("PUT", path, { msgtype: "m.text", body });
      expect([400, 403, 502], answer.text).toContain(answer.status);
    }
  });

  test("is asked about what comes from elsewhere without its signature", async () => {
    const good = room.build(bob, message("good of theirs"));
    const bad = room.build(bob, message("bad of theirs"));
    await sendTransaction(peer, { pdus: [good.wire, bad.wire] }, "policy");
    const seen = async (eventId: string) =>
      await alice.call("GET", `/v3/rooms/${E(roomId)}/event/${E(eventId)}`);
    expect((await seen(good.id)).status).toBe(200);
    expect(await seen(bad.id)).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});
