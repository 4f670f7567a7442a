import { afterAll, describe, expect, test } from "vitest";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { tellRoomsOfProfiles } from "./tell-rooms.ts";

const homes = await testHomeservers(2, LENIENT);
const { hs } = homes;
const [ask, there] = homes.all.map(asking) as [Ask, Ask];
afterAll(async () => await homes.close());

/** What rooms are to be told of. */
const updates = () => hs.sql`select from profile_updates`;

describe("profiles", () => {
  test("fields are set, read, and taken away", async () => {
    const { access_token: token, user_id } = await registered(ask, "fields");
    const put = async (key: string, value: unknown) =>
      await ask("PUT", `profile/${user_id}/${key}`, { token, body: { [key]: value } });
    expect((await put("displayname", "Ann")).status).toBe(200);
    expect((await put("avatar_url", "mxc://test/abc")).status).toBe(200);
    expect((await put("m.tz", "Europe/Berlin")).status).toBe(200);
    expect((await put("org.example.any", { deep: [1, null] })).status).toBe(200);
    expect((await ask("GET", `profile/${user_id}`)).body).toEqual({
      displayname: "Ann",
      avatar_url: "mxc://test/abc",
      "m.tz": "Europe/Berlin",
      "org.example.any": { deep: [1, null] },
    });
    expect((await ask("GET", `profile/${user_id}/m.tz`)).body).toEqual({ "m.tz": "Europe/Berlin" });

    expect((await ask("DELETE", `profile/${user_id}/m.tz`, { token })).status).toBe(200);
    expect((await ask("DELETE", `profile/${user_id}/m.tz`, { token })).status).toBe(200);
    expect((await put("displayname", "")).status).toBe(200);
    expect((await put("avatar_url", null)).status).toBe(200);
    expect(await ask("GET", `profile/${user_id}/m.tz`)).toMatchObject({
      status: 404,
      body: { errcode: "M_NOT_FOUND" },
    });
    for (const key of ["displayname", "avatar_url"]) {
      const { status, body } = await ask("GET", `profile/${user_id}/${key}`);
      expect([status, body]).toEqual([200, {}]);
    }
  });

  test("what cannot be is refused with the right error", async () => {
    const { access_token: token, user_id } = await registered(ask, "limits");
    const put = async (key: string, body: unknown, user = user_id) => {
      const { status, body: answer } = await ask("PUT", `profile/${user}/${key}`, { token, body });
      return [status, answer.errcode];
    };
    expect(await put("displayname", {})).toEqual([400, "M_MISSING_PARAM"]);
    expect(await put("displayname", { displayname: 7 })).toEqual([400, "M_INVALID_PARAM"]);
    expect(await put("displayname", [])).toEqual([400, "M_BAD_JSON"]);
    expect(await put("avatar_url", { avatar_url: ["http://x"] })).toEqual([400, "M_INVALID_PARAM"]);
    expect(await put("Upper.case", { "Upper.case": 1 })).toEqual([400, "M_INVALID_PARAM"]);
    expect(await put("__proto__", { x: 1 })).toEqual([400, "M_INVALID_PARAM"]);
    const long = `a.${"b".repeat(254)}`;
    expect(await put(long, { [long]: 1 })).toEqual([400, "M_KEY_TOO_LARGE"]);
    expect(await put("a.b", { "a.b": "x".repeat(66_000) })).toEqual([400, "M_PROFILE_TOO_LARGE"]);
    expect(await put("a.b", { "a.b": 1 }, "@fields:test")).toEqual([403, "M_FORBIDDEN"]);
    expect((await ask("GET", "profile/@nobody:test")).status).toBe(404);
    expect((await ask("GET", "profile/nobody")).status).toBe(400);
  });

  test("fields that are set at once are all there", async () => {
    const { access_token: token, user_id } = await registered(ask, "at-once");
    const keys = Array.from({ length: 12 }, (_, index) => `org.example.n${index}`);
    await Promise.all(
      keys.map(async (key, index) => {
        const at = index % 2 === 0 ? ask : there;
        await at("PUT", `profile/${user_id}/${key}`, { token, body: { [key]: index } });
      }),
    );
    const profile = (await ask("GET", `profile/${user_id}`)).body;
    expect(keys.map((key) => profile[key])).toEqual(keys.map((_, index) => index));
  });

  test("every joined room is told, of the newest, and nothing else of the member changes", async () => {
    const { access_token: token, user_id } = await registered(ask, "told");
    const rooms: string[] = [];
    for (let index = 0; index < 23; index++) {
      rooms.push((await ask("POST", "createRoom", { token, body: {} })).body.room_id);
    }
    const [first, left] = rooms;
    const path = (roomId: string | undefined) => `rooms/${roomId}/state/m.room.member/${user_id}`;
    await ask("PUT", path(first), { token, body: { membership: "join", "org.example.kept": 1 } });
    await ask("POST", `rooms/${left}/leave`, { token, body: {} });

    // From two processes, one after the other.
    const set = async (at: Ask, key: string, value: string) =>
      await at("PUT", `profile/${user_id}/${key}`, { token, body: { [key]: value } });
    await Promise.all([set(ask, "displayname", "Old"), set(there, "avatar_url", "mxc://test/a")]);
    await set(there, "displayname", "New");
    await expect.poll(updates).toEqual([]);
    for (const roomId of rooms.filter((it) => it !== left)) {
      expect((await ask("GET", path(roomId), { token })).body).toMatchObject({
        membership: "join",
        displayname: "New",
        avatar_url: "mxc://test/a",
      });
    }
    expect((await ask("GET", path(first), { token })).body["org.example.kept"]).toBe(1);
    expect((await ask("GET", path(left), { token })).body).toMatchObject({ membership: "leave" });
  });

  test("a room of an old version is told, whatever numbers the member event holds", async () => {
    const { access_token: token, user_id } = await registered(ask, "oldest");
    const { room_id } = (await ask("POST", "createRoom", { token, body: { room_version: "5" } }))
      .body;
    const path = `rooms/${room_id}/state/m.room.member/${user_id}`;
    const set = async (ratio: number) =>
      await ask("PUT", path, { token, body: { membership: "join", ratio } });
    expect(await set(0.5)).toMatchObject({ status: 200 });
    expect(await set(1.5)).toMatchObject({ status: 200 });
    await ask("PUT", `profile/${user_id}/displayname`, { token, body: { displayname: "Ida" } });
    await expect.poll(updates).toEqual([]);
    expect((await ask("GET", path, { token })).body).toMatchObject({
      displayname: "Ida",
      ratio: 1.5,
    });
  });

  test("what was not told when a process died is told by another", async () => {
    const { access_token: token, user_id } = await registered(ask, "crashed");
    const { room_id } = (await ask("POST", "createRoom", { token, body: {} })).body;
    await hs.sql`
      update profiles set displayname = 'After'
      where user_key = (select user_key from users where user_id = ${user_id})`;
    await hs.sql`
      insert into profile_updates (user_key, leased_until_ms)
      select user_key, ${hs.now() - 1} from users where user_id = ${user_id}`;
    expect(await tellRoomsOfProfiles.run(hs, new AbortController().signal)).toBe("done");
    const path = `rooms/${room_id}/state/m.room.member/${user_id}`;
    expect((await ask("GET", path, { token })).body.displayname).toBe("After");
    expect(await updates()).toEqual([]);
  });
});

test("a profile of which rooms cannot be told keeps no other from being told", async () => {
  const [stuck, behind] = [await registered(ask, "stuck"), await registered(ask, "behind")];
  const [first, second] = [await userKeyOf(hs, stuck.user_id), await userKeyOf(hs, behind.user_id)];
  await hs.sql.unsafe(`
    create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'refused'; end $$;
    create trigger refusing before delete on profile_updates for each row
      when (old.user_key = ${first}) execute function refuse()`);
  await hs.sql`insert into profile_updates (user_key) values (${first}), (${second})`;
  const { signal } = new AbortController();
  expect(await tellRoomsOfProfiles.run(hs, signal)).toBe("done");
  const left = () => hs.sql`select user_key from profile_updates`;
  expect(await left()).toEqual([{ user_key: first }]);
  await hs.sql.unsafe("drop function refuse cascade");
  await tellRoomsOfProfiles.run(hs, signal);
  expect(await left()).toEqual([]);
});
