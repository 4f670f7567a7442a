import { beforeEach, describe, expect, test } from "vitest";
import { present } from "../answers.ts";
import { E } from "../server-server/peer.ts";
import { refusal, type TestUser } from "./client.ts";
import { identityServer } from "./identity-server.ts";
import { newAddress, openThirdPartyStage } from "./third-party-stage.ts";

const { hs, id, alice, bind, invite, room, pendingIn, membershipIn, whatWasAsked, reset } =
  await openThirdPartyStage();
beforeEach(reset);

describe("an invitation of an address", () => {
  /** A room to which an address is invited. */
  async function invited() {
    const [address, roomId] = [newAddress(), await room()];
    expect((await invite(roomId, id.invite(address))).status).toBe(200);
    const token = present((await pendingIn(roomId))[0]).state_key;
    return { address, roomId, token };
  }

  const join = async (user: TestUser, roomId: string, third_party_signed?: object) =>
    await user.call(
      "POST",
      `/v3/join/${E(roomId)}`,
      third_party_signed ? { third_party_signed } : {},
    );

  /** @spec client-server-api#post_matrixclientv3joinroomidoralias */
  test("is taken by whoever shows that it is theirs when joining", async () => {
    const bob = await hs.registerUser("bob");
    for (const route of ["join", "rooms"]) {
      const { roomId, token } = await invited();
      const third_party_signed = id.sign({ mxid: bob.userId, sender: alice.userId, token });
      const path = route === "join" ? `/v3/join/${E(roomId)}` : `/v3/rooms/${E(roomId)}/join`;
      expect((await bob.call("POST", path, { third_party_signed })).status).toBe(200);
      expect(await membershipIn(roomId, bob.userId)).toBe("join");
      expect((await bob.call("POST", path, { third_party_signed })).status).toBe(200);
    }
  });

  test("is nobody's who does not show that", async () => {
    const [bob, eve] = [await hs.registerUser("bob"), await hs.registerUser("eve")];
    const { roomId, token } = await invited();
    const own = { mxid: bob.userId, sender: alice.userId, token };
    const other = identityServer();
    other.name = id.name;
    const forbidden = refusal(403, "M_FORBIDDEN");
    for (const signed of [
      { ...own, signatures: {} },
      { ...id.sign(own), sender: bob.userId },
      other.sign(own),
      id.sign({ ...own, token: "none" }),
      id.sign({ ...own, mxid: eve.userId }),
      { ...id.sign({ ...own, mxid: eve.userId }), mxid: bob.userId },
    ]) {
      expect(await join(bob, roomId, signed)).toMatchObject(forbidden);
    }
    expect(await join(bob, roomId, { ...id.sign(own), sender: "x" })).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
    expect(await membershipIn(roomId, bob.userId)).toBeUndefined();
    // Nothing was wrong with the room.
    expect((await join(bob, roomId, id.sign(own))).status).toBe(200);
  });

  test("is nobody's once it is withdrawn", async () => {
    const bob = await hs.registerUser("bob");
    const { address, roomId, token } = await invited();
    const path = `/v3/rooms/${E(roomId)}/state/m.room.third_party_invite/${token}`;
    expect((await alice.call("PUT", path, {})).status).toBe(200);
    const signed = id.sign({ mxid: bob.userId, sender: alice.userId, token });
    expect(await join(bob, roomId, signed)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await bind(address, bob.userId)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await membershipIn(roomId, bob.userId)).toBeUndefined();
  });

  test("is nobody's if the key is no longer valid, or nobody can say", async () => {
    const bob = await hs.registerUser("bob");
    const { address, roomId, token } = await invited();
    const signed = id.sign({ mxid: bob.userId, sender: alice.userId, token });
    id.isValid = false;
    expect(await join(bob, roomId, signed)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    id.instead = () => ({ body: { valid: "yes" } });
    expect(await join(bob, roomId, signed)).toMatchObject(refusal(502, "M_UNKNOWN"));
    expect(await bind(address, bob.userId)).toMatchObject(refusal(502, "M_UNKNOWN"));
    expect(await membershipIn(roomId, bob.userId)).toBeUndefined();
    expect(whatWasAsked().filter((it) => it === "pubkey/isvalid")).toHaveLength(3);
  });
});
