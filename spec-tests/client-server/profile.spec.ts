import { describe, expect, test } from "vitest";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const pathOf = (key: string, userId = alice.userId) => `/v3/profile/${userId}/${key}`;

/** @spec client-server-api#put_matrixclientv3profileuseridkeyname */
describe("setProfileField", () => {
  test("sets a field, which rooms are told of if they show it", async () => {
    const roomId = await alice.createRoom();
    const body = { displayname: "Alice" };
    expect(await alice.call("PUT", pathOf("displayname"), body)).toMatchObject({
      status: 200,
      body: {},
    });
    const member = `/v3/rooms/${roomId}/state/m.room.member/${alice.userId}`;
    await expect.poll(async () => (await alice.call("GET", member)).body.displayname).toBe("Alice");
    expect((await alice.call("PUT", pathOf("m.tz"), { "m.tz": "Europe/Berlin" })).status).toBe(200);
  });

  test("refuses what cannot be, and what is another's", async () => {
    const put = async (key: string, body: object, userId = alice.userId) =>
      await alice.call("PUT", pathOf(key, userId), body);
    const displayname = "Bob";
    expect(await put("displayname", { displayname }, bob.userId)).toMatchObject(
      refusal(403, "M_FORBIDDEN"),
    );
    expect(await put("displayname", {})).toMatchObject(refusal(400, "M_MISSING_PARAM"));
    const long = `a.${"b".repeat(254)}`;
    expect(await put(long, { [long]: 1 })).toMatchObject(refusal(400, "M_KEY_TOO_LARGE"));
    const large = { "a.b": "x".repeat(65_536) };
    expect(await put("a.b", large)).toMatchObject(refusal(400, "M_PROFILE_TOO_LARGE"));
    expect(await put("Not.A.Name", { "Not.A.Name": 1 })).toMatchObject(
      refusal(400, "M_INVALID_PARAM"),
    );
  });
});

/** @spec client-server-api#get_matrixclientv3profileuserid */
describe("getUserProfile", () => {
  test("tells anybody all that a user tells", async () => {
    await bob.call("PUT", pathOf("avatar_url", bob.userId), { avatar_url: "mxc://hs.test/a" });
    await bob.call("PUT", pathOf("a.b", bob.userId), { "a.b": { c: 1 } });
    const { status, body } = await hs.request("GET", `/v3/profile/${bob.userId}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ avatar_url: "mxc://hs.test/a", "a.b": { c: 1 } });
    const nobody = await hs.request("GET", "/v3/profile/@nobody:hs.test");
    expect(nobody).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

/** @spec client-server-api#get_matrixclientv3profileuseridkeyname */
describe("getProfileField", () => {
  test("tells anybody one field", async () => {
    await bob.call("PUT", pathOf("c.d", bob.userId), { "c.d": [1] });
    expect((await hs.request("GET", pathOf("c.d", bob.userId))).body).toEqual({ "c.d": [1] });
    expect(await hs.request("GET", pathOf("no.such", bob.userId))).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
  });

  test("tells nothing of a name or picture that is not set, but of a user who is not there", async () => {
    const carol = await hs.registerUser("carol");
    await carol.call("DELETE", pathOf("displayname", carol.userId));
    for (const key of ["displayname", "avatar_url"]) {
      const unset = await hs.request("GET", pathOf(key, carol.userId));
      expect(unset, key).toMatchObject({ status: 200, text: "{}" });
      expect(await hs.request("GET", pathOf(key, "@nobody:hs.test")), key).toMatchObject(
        refusal(404, "M_NOT_FOUND"),
      );
    }
  });
});

/** @spec client-server-api#delete_matrixclientv3profileuseridkeyname */
describe("deleteProfileField", () => {
  test("takes a field away, one's own", async () => {
    const path = pathOf("e.f", bob.userId);
    await bob.call("PUT", path, { "e.f": 1 });
    expect(await alice.call("DELETE", path)).toMatchObject(refusal(403, "M_FORBIDDEN"));
    expect(await bob.call("DELETE", path)).toMatchObject({ status: 200, body: {} });
    expect(await hs.request("GET", path)).toMatchObject(refusal(404, "M_NOT_FOUND"));
  });
});

/** @spec client-server-api#post_matrixclientv3user_directorysearch */
describe("searchUserDirectory", () => {
  test("finds those one shares a room with, up to a limit", async () => {
    const carol = await hs.registerUser("carol");
    const term = alice.userId.slice(1, alice.userId.indexOf(":"));
    const search = async (limit = 10) =>
      (await carol.call("POST", "/v3/user_directory/search", { search_term: term, limit })).body;
    const ids = async () => (await search()).results.map((it) => it.user_id);
    expect(await ids()).not.toContain(alice.userId);
    const roomId = await alice.createRoom();
    await alice.call("POST", `/v3/rooms/${roomId}/invite`, { user_id: carol.userId });
    await carol.call("POST", `/v3/join/${roomId}`, {});
    await expect.poll(ids).toContain(alice.userId);
    expect(await search(0)).toMatchObject({ results: [] });
  });
});
