import { beforeEach, describe, expect, test } from "vitest";
import { homeserver, refusal, type TestUser } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const carol = await hs.registerUser("carol");

let roomId: string;
beforeEach(async () => {
  roomId = await alice.createRoom({ preset: "private_chat" });
});

const setState = async (type: string, content: object) =>
  await alice.call("PUT", `/v3/rooms/${roomId}/state/${type}/`, content);
const memberOf = async ({ userId }: TestUser) =>
  (await alice.call("GET", `/v3/rooms/${roomId}/state/m.room.member/${userId}`)).body;

/** @spec client-server-api#put_matrixclientv3roomsroomidstateeventtypestatekey */
describe("setRoomStateWithKey, of a membership", () => {
  const setMember = async (user: TestUser, content: object) =>
    await user.call("PUT", `/v3/rooms/${roomId}/state/m.room.member/${user.userId}`, content);

  test("joins a restricted room as joining does, and renames whoever is in it", async () => {
    const other = await alice.createRoom({ preset: "public_chat" });
    const allow = [{ type: "m.room_membership", room_id: other }];
    const rules = { join_rule: "restricted", allow };
    await setState("m.room.join_rules", rules);
    expect(await setMember(carol, { membership: "join" })).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );

    await carol.call("POST", `/v3/join/${other}`, {});
    const eventId = expect.stringMatching(/^\$/);
    const joined = await setMember(carol, { membership: "join" });
    expect(joined).toMatchObject({ status: 200, body: { event_id: eventId } });
    const before = await memberOf(carol);
    expect(before).toMatchObject({ join_authorised_via_users_server: alice.userId });

    // As a client does that changes a part of what it has got.
    for (const authoriser of [alice.userId, "@nobody:elsewhere.test", "unused"]) {
      const content = {
        ...before,
        displayname: authoriser,
        join_authorised_via_users_server: authoriser,
      };
      const renamed = await setMember(carol, content);
      expect(renamed).toMatchObject({ status: 200, body: { event_id: eventId } });
      expect(await memberOf(carol)).toEqual({ membership: "join", displayname: authoriser });
    }
  });

  test("lets no guests in where they may not join", async () => {
    await setState("m.room.join_rules", { join_rule: "public" });
    await setState("m.room.guest_access", { guest_access: "forbidden" });
    const guest = await hs.registerGuest();
    const join = { membership: "join" };
    expect(await setMember(guest, join)).toMatchObject(refusal(403, "M_GUEST_ACCESS_FORBIDDEN"));
    await setState("m.room.guest_access", { guest_access: "can_join" });
    expect((await setMember(guest, join)).status).toBe(200);
  });

  test("refuses a membership of nobody", async () => {
    const answer = await alice.call("PUT", `/v3/rooms/${roomId}/state/m.room.member/nobody`, {
      membership: "ban",
    });
    expect(answer).toMatchObject(refusal(400, "M_INVALID_PARAM"));
  });
});
