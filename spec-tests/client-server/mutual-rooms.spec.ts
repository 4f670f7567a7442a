import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();

/** @spec client-server-api#get_matrixclientv1mutual_rooms */
describe("getMutualRooms", () => {
  const unstable = "/unstable/uk.half-shot.msc2666/user/mutual_rooms";

  test("lists the rooms that both are in", async () => {
    const alice = await hs.registerUser("alice");
    const bob = await hs.registerUser("bob");
    const rooms: string[] = [];
    for (let index = 0; index < 3; index++) {
      const roomId = await alice.createRoom({ preset: "public_chat" });
      await bob.call("POST", `/v3/join/${roomId}`, {});
      rooms.push(roomId);
    }
    await alice.createRoom({ preset: "public_chat" });
    await bob.call("POST", `/v3/rooms/${rooms[0]}/leave`, {});
    const shared = rooms.slice(1).toSorted();
    for (const path of ["/v1/mutual_rooms", unstable]) {
      const { status, body } = await alice.call<{ joined: string[]; count: number }>(
        "GET",
        `${path}?user_id=${bob.userId}`,
      );
      expect(status).toBe(200);
      expect(body.joined.toSorted()).toEqual(shared);
      expect(body.count).toBe(2);
      expect(body).not.toHaveProperty("next_batch");
    }
    for (const first of ["/v1/mutual_rooms?from=", `${unstable}?batch_token=`]) {
      const { body } = await alice.call("GET", `${first}&user_id=${bob.userId}`);
      expect(body, first).toMatchObject({ count: 2 });
    }
    const none = await alice.call("GET", "/v1/mutual_rooms?user_id=@nobody:hs.test");
    expect(none.body).toEqual({ joined: [], count: 0 });
  });

  test("refuses oneself, and what is no user or token", async () => {
    const alice = await hs.registerUser("alice");
    const list = async (query: string) => await alice.call("GET", `/v1/mutual_rooms${query}`);
    expect(await list("")).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    const invalid = refusal(400, "M_INVALID_PARAM");
    expect(await list("?user_id=nobody")).toMatchObject(invalid);
    expect(await list(`?user_id=${alice.userId}`)).toMatchObject(invalid);
    expect(await list("?user_id=@bob:hs.test&from=x")).toMatchObject(invalid);
  });
});
