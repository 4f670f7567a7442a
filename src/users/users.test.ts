import { hash } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { findRoom, roomsByKeys } from "#src/rooms/find-room.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { searchWords, wordsOf, wordsOfUser } from "./directory-words.ts";
import { tellRoomsOfProfiles } from "./tell-rooms.ts";

let homes: TestHomeservers;
let hs: Homeserver;
let ask: Ask;
let there: Ask;
beforeAll(async () => {
  homes = await testHomeservers(2, LENIENT);
  const [first, second] = homes.all;
  if (!first || !second) throw new RangeError("two homeservers are needed");
  hs = first;
  ask = asking(first);
  there = asking(second);
});
afterAll(async () => await homes.close());

/** Waits for what happens in the background. */
async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it never came to be so");
}

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
    for (const key of ["m.tz", "displayname", "avatar_url"]) {
      expect(await ask("GET", `profile/${user_id}/${key}`)).toMatchObject({
        status: 404,
        body: { errcode: "M_NOT_FOUND" },
      });
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
    await until(async () => (await hs.sql`select 1 from profile_updates`).length === 0);
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
    await until(async () => (await hs.sql`select 1 from profile_updates`).length === 0);
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
    expect(await hs.sql`select 1 from profile_updates`).toHaveLength(0);
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

describe("user directory", () => {
  const search = async (token: string, search_term: string, limit?: number) => {
    const body = { search_term, ...(limit !== undefined && { limit }) };
    return (await there("POST", "user_directory/search", { token, body })).body;
  };
  const found = async (token: string, term: string) =>
    (await search(token, term)).results.map((it: { user_id: string }) => it.user_id);

  test("who shares a room is found, or is in an open one, and nobody else", async () => {
    const ulla = await registered(ask, "ulla-one", { device_id: "A" });
    const udo = await registered(ask, "udo-two");
    const token = udo.access_token;
    expect(await found(token, "ulla")).toEqual([]);

    const { room_id } = (
      await ask("POST", "createRoom", { token: ulla.access_token, body: { preset: "public_chat" } })
    ).body;
    expect(await found(token, "ulla")).toEqual([ulla.user_id]);
    const close = { join_rule: "invite" };
    const rules = `rooms/${room_id}/state/m.room.join_rules/`;
    await ask("PUT", rules, { token: ulla.access_token, body: close });
    expect(await found(token, "ulla")).toEqual([]);
    const look = { history_visibility: "world_readable" };
    const visibility = `rooms/${room_id}/state/m.room.history_visibility/`;
    await ask("PUT", visibility, { token: ulla.access_token, body: look });
    expect(await found(token, "ulla")).toEqual([ulla.user_id]);
    await ask("PUT", visibility, {
      token: ulla.access_token,
      body: { history_visibility: "shared" },
    });
    expect(await found(token, "ulla")).toEqual([]);

    const invite = { user_id: udo.user_id };
    await ask("POST", `rooms/${room_id}/invite`, { token: ulla.access_token, body: invite });
    expect(await found(token, "ulla")).toEqual([]);
    await ask("POST", `join/${room_id}`, { token, body: {} });
    expect(await found(token, "ulla")).toEqual([ulla.user_id]);
    // Nobody shares a room with themselves; but they may be in one that is open.
    expect(await found(token, "udo")).toEqual([]);
    await ask("POST", "createRoom", { token, body: { preset: "public_chat" } });
    expect(await found(token, "udo")).toEqual([udo.user_id]);

    await ask("PUT", `profile/${ulla.user_id}/displayname`, {
      token: ulla.access_token,
      body: { displayname: "Änne Müller" },
    });
    for (const term of [
      "anne",
      "MÜLL",
      "muller an",
      "@ulla-one:te",
      "@ULLA",
      "one ulla",
      "@anne",
    ]) {
      expect(await found(token, term)).toEqual([ulla.user_id]);
    }
    for (const term of ["nne", "anne schmidt", "@schmidt", "-", "", " "]) {
      expect(await found(token, term)).toEqual([]);
    }
    expect((await search(token, "anne")).results).toEqual([
      { user_id: ulla.user_id, display_name: "Änne Müller" },
    ]);
  });

  test("users of other servers are called what open rooms call them, while they are in a room", async () => {
    const { access_token: token } = await registered(ask, "host");
    const made = async (preset: string) => {
      const { room_id } = (await ask("POST", "createRoom", { token, body: { preset } })).body;
      const room = await findRoom(hs, room_id);
      return room?.roomKey ?? 0;
    };
    const closed = await made("private_chat");
    const open = await made("public_chat");
    const userKey = await userKeyOf(hs, "@rem:elsewhere");
    /** Puts a member event into a room, as another server would have sent it. */
    const member = async (roomKey: number, membership: string, displayname: string) => {
      const json = JSON.stringify({ content: { membership, displayname } });
      await hs.sql.begin(async (tx) => {
        const [row] = await tx<{ position: number }[]>`
          update positions set position = position + 1 returning position`;
        const key = row?.position ?? 0;
        await tx`
          insert into events (event_key, room_key, event_id, type, state_key, sender_key, depth,
            origin_server_ts, status, json)
          values (${key}, ${roomKey}, ${`$${key}`}, 'm.room.member', '@rem:elsewhere', ${userKey}, 1,
            1, 0, ${json})`;
        await tx`
          insert into memberships (user_key, room_key, membership, event_key, position, local)
          values (${userKey}, ${roomKey}, ${membership}, ${key}, ${key}, false)
          on conflict (user_key, room_key) do update set membership = excluded.membership,
            event_key = excluded.event_key, position = excluded.position`;
      });
    };
    const looker = (await registered(ask, "passer-by")).access_token;

    await member(closed, "join", "Secretive");
    expect(await found(token, "secretive")).toEqual(["@rem:elsewhere"]);
    expect(await found(looker, "secretive")).toEqual([]);
    await member(open, "join", "Remy");
    await member(closed, "join", "Secretive");
    expect((await search(looker, "rem")).results).toEqual([
      { user_id: "@rem:elsewhere", display_name: "Remy" },
    ]);
    expect(await found(looker, "secretive")).toEqual([]);

    // Whatever that is: the others are found all the same.
    const long = Array.from({ length: 300 }, (_, at) => hash("sha256", String(at))).join("");
    await member(open, "join", `Re\0my ${long}`);
    const [shown] = (await search(looker, "rem")).results;
    expect(shown.display_name).toMatch(/^Remy [0-9a-f]{251}$/);
    expect(await found(looker, `remy ${long.slice(0, 120)}`)).toEqual(["@rem:elsewhere"]);

    // Of a room that nobody of this server is in it is not known who is in it now.
    const roomId = [...(await roomsByKeys(hs, [open])).values()][0]?.roomId;
    await ask("POST", `rooms/${roomId}/leave`, { token, body: {} });
    expect(await found(looker, "rem")).toEqual([]);
    await ask("POST", `join/${roomId}`, { token, body: {} });
    expect(await found(looker, "rem")).toEqual(["@rem:elsewhere"]);

    await member(open, "leave", "Remy");
    expect(await found(looker, "rem")).toEqual([]);
    expect(await found(token, "rem")).toEqual(["@rem:elsewhere"]);
    await member(closed, "leave", "Secretive");
    expect(await found(token, "rem")).toEqual([]);
    const left = await hs.sql`select 1 from directory_words where user_key = ${userKey}`;
    expect(left).toHaveLength(0);
  });

  test("there is a limit, and it is said when there are more", async () => {
    const owner = await registered(ask, "crowd-owner");
    const body = { preset: "public_chat" };
    const { room_id } = (await ask("POST", "createRoom", { token: owner.access_token, body })).body;
    for (let index = 0; index < 4; index++) {
      const { access_token: token } = await registered(ask, `crowd-${index}`);
      await ask("POST", `join/${room_id}`, { token, body: {} });
    }
    const { access_token: token } = await registered(ask, "looker");
    expect((await search(token, "crowd", 3)).results).toHaveLength(3);
    expect((await search(token, "crowd", 3)).limited).toBe(true);
    expect((await search(token, "crowd", 5)).results).toHaveLength(5);
    expect((await search(token, "crowd", 5)).limited).toBe(false);
  });

  test("a user is found by the beginning of any word of their name", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 40 }),
        fc.nat(),
        fc.nat(),
        (name, a, b) => {
          const words = wordsOf(name);
          const word = words[a % Math.max(1, words.length)];
          if (word === undefined) return;
          const start = word.slice(0, 1 + (b % word.length));
          if (!start.isWellFormed()) return;
          // Without spaces between words, a beginning may be cut into others than the whole: it need not be found.
          if (searchWords(start).join(" ") !== start) return;
          expect(wordsOfUser("@x:test", name).some((it) => it.startsWith(start))).toBe(true);
        },
      ),
    );
  });
});
