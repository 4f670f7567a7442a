import { hash } from "node:crypto";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import { findRoom, roomsByKeys } from "#src/rooms/find-room.ts";
import { userKeyOf } from "#src/rooms/user-keys.ts";
import { asking, type Ask, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers } from "#src/testing.ts";
import { searchWords, wordsOf, wordsOfUser } from "./directory-words.ts";

const homes = await testHomeservers(2, LENIENT);
const { hs } = homes;
const [ask, there] = homes.all.map(asking) as [Ask, Ask];
afterAll(async () => await homes.close());

/** Makes a room. @returns its key. */
async function made(token: string, preset: string): Promise<number> {
  const { room_id } = (await ask("POST", "createRoom", { token, body: { preset } })).body;
  return (await findRoom(hs, room_id as RoomId))?.roomKey ?? 0;
}

/** What puts a user's member events into rooms, as another server would have sent them. */
async function memberOf(userId: UserId) {
  const userKey = await userKeyOf(hs, userId);
  return async (roomKey: number, membership: string, displayname: string) => {
    const json = JSON.stringify({ content: { membership, displayname } });
    await hs.sql.begin(async (tx) => {
      const [row] = await tx<{ position: number }[]>`
        update positions set position = position + 1 returning position`;
      const key = row?.position ?? 0;
      await tx`
        insert into events (event_key, room_key, event_id, type, state_key, sender_key, depth,
          origin_server_ts, status, json)
        values (${key}, ${roomKey}, ${`$${key}`}, 'm.room.member', ${userId}, ${userKey}, 1,
          1, 0, ${json})`;
      await tx`
        insert into memberships (user_key, room_key, membership, event_key, position, local)
        values (${userKey}, ${roomKey}, ${membership}, ${key}, ${key}, false)
        on conflict (user_key, room_key) do update set membership = excluded.membership,
          event_key = excluded.event_key, position = excluded.position`;
    });
  };
}

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
    const closed = await made(token, "private_chat");
    const open = await made(token, "public_chat");
    const userKey = await userKeyOf(hs, "@rem:elsewhere");
    const member = await memberOf("@rem:elsewhere");
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
    expect(shown?.display_name).toMatch(/^Remy [0-9a-f]{251}$/);
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

  test("what a closed room calls a user of another server, those know alone who are in it with them", async () => {
    const [one, other] = [await registered(ask, "one-side"), await registered(ask, "other-side")];
    const member = await memberOf("@nick:elsewhere");
    await member(await made(one.access_token, "private_chat"), "join", "Lieutenant Blue");
    await member(await made(other.access_token, "private_chat"), "join", "Private Life");
    const blue = { user_id: "@nick:elsewhere", display_name: "Lieutenant Blue" };
    const life = { user_id: "@nick:elsewhere", display_name: "Private Life" };
    expect((await search(one.access_token, "nick")).results).toEqual([blue]);
    expect((await search(other.access_token, "nick")).results).toEqual([life]);
    expect((await search(other.access_token, "private")).results).toEqual([life]);
    // Nor are others told that there is somebody who is called so.
    expect(await found(one.access_token, "private")).toEqual([]);
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
