import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const notFound = refusal(404, "M_NOT_FOUND");
const v1 = (id: string) => `/v1/room_summary/${encodeURIComponent(id)}`;

/** @spec client-server-api#get_matrixclientv1room_summaryroomidoralias */
describe("getRoomSummary", () => {
  test("tells of an open room, by its ID and its alias, also those who are not logged in", async () => {
    const name = `sum-${alice.localpart}`;
    const roomId = await alice.createRoom({
      preset: "public_chat",
      room_alias_name: name,
      name: "The name",
      topic: "The topic",
      room_version: "11",
      creation_content: { type: "m.space" },
      initial_state: [
        { type: "m.room.encryption", content: { algorithm: "m.megolm.v1.aes-sha2" } },
      ],
    });
    const summary = {
      room_id: roomId,
      canonical_alias: `#${name}:hs.test`,
      name: "The name",
      topic: "The topic",
      room_type: "m.space",
      room_version: "11",
      encryption: "m.megolm.v1.aes-sha2",
      join_rule: "public",
      num_joined_members: 1,
      guest_can_join: false,
      world_readable: false,
    };
    const anonymous = await hs.request("GET", v1(roomId));
    expect(anonymous).toMatchObject({ status: 200, body: summary });
    expect(anonymous.body).not.toHaveProperty("membership");
    expect((await hs.request("GET", v1(summary.canonical_alias))).body).toEqual(summary);
    expect((await alice.call("GET", v1(roomId))).body).toEqual({ ...summary, membership: "join" });
    expect((await bob.call("GET", v1(roomId))).body.membership).toBe("leave");
    const unstable = "/unstable/im.nheko.summary";
    for (const path of [`${unstable}/summary/${roomId}`, `${unstable}/rooms/${roomId}/summary`]) {
      expect((await bob.call("GET", path)).body).toMatchObject({
        ...summary,
        "im.nheko.summary.room_version": "11",
        "im.nheko.summary.encryption": "m.megolm.v1.aes-sha2",
      });
    }
  });

  test("tells of a closed room those who are in it or invited, and no others", async () => {
    const roomId = await alice.createRoom({ preset: "private_chat" });
    expect((await alice.call("GET", v1(roomId))).status).toBe(200);
    expect(await bob.call("GET", v1(roomId))).toMatchObject(notFound);
    expect(await hs.request("GET", v1(roomId))).toMatchObject(notFound);
    await alice.call("POST", `/v3/rooms/${roomId}/invite`, { user_id: bob.userId });
    expect((await bob.call("GET", v1(roomId))).body).toMatchObject({ membership: "invite" });
  });

  test("tells of a restricted room those who may come in by another", async () => {
    const space = await alice.createRoom({ preset: "public_chat" });
    const roomId = await alice.createRoom({
      preset: "private_chat",
      initial_state: [
        {
          type: "m.room.join_rules",
          content: {
            join_rule: "restricted",
            allow: [{ type: "m.room_membership", room_id: space }],
          },
        },
      ],
    });
    expect((await alice.call("GET", v1(roomId))).body.allowed_room_ids).toEqual([space]);
    expect(await bob.call("GET", v1(roomId))).toMatchObject(notFound);
    await bob.call("POST", `/v3/join/${space}`, {});
    expect((await bob.call("GET", v1(roomId))).body.join_rule).toBe("restricted");
  });

  test("says that there is no such room", async () => {
    for (const id of ["!nothing:hs.test", "#nothing:hs.test"]) {
      expect(await bob.call("GET", v1(id))).toMatchObject(notFound);
      expect(await hs.request("GET", v1(id))).toMatchObject(notFound);
    }
    expect(await bob.call("GET", v1("nonsense"))).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});
