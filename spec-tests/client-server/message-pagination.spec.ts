import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type ClientEvent, joinedRoom } from "../answers.ts";
import { homeserver, refusal } from "./client.ts";

const hs = await homeserver();
const alice = await hs.registerUser("alice");
const bob = await hs.registerUser("bob");
const mallory = await hs.registerUser("mallory");
const roomId = await alice.createRoom({ preset: "public_chat", name: "A room" });
await bob.call("POST", `/v3/join/${roomId}`, {});
const room = `/v3/rooms/${encodeURIComponent(roomId)}`;
const forbidden = refusal(403, "M_FORBIDDEN");
const types = (events: readonly ClientEvent[]) => events.map((it) => it.type);

/** @spec client-server-api#get_matrixclientv3roomsroomideventeventid */
describe("getOneRoomEvent", () => {
  test("answers with an event of the room, to those who may see it", async () => {
    const eventId = await alice.sendText(roomId, "seen");
    const { status, body } = await bob.call("GET", `${room}/event/${eventId}`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ event_id: eventId, room_id: roomId, content: { body: "seen" } });
    expect((await mallory.call("GET", `${room}/event/${eventId}`)).status).toBeOneOf([403, 404]);
    expect(await bob.call("GET", `${room}/event/$nothing`)).toMatchObject(
      refusal(404, "M_NOT_FOUND"),
    );
  });

  test("shows those who may redact what was redacted, if they ask for it", async () => {
    const eventId = await bob.sendText(roomId, "deleted");
    await bob.call("PUT", `${room}/redact/${eventId}/unseen`, {});
    const path = `${room}/event/${eventId}?fi.mau.msc2815.include_unredacted_content=`;
    expect((await alice.call("GET", `${path}true`)).body).toMatchObject({
      content: { body: "deleted" },
      unsigned: { redacted_because: { sender: bob.userId } },
    });
    expect((await alice.call("GET", `${path}false`)).body.content).toEqual({});
    expect(await bob.call("GET", `${path}true`)).toMatchObject(forbidden);
    expect(await mallory.call("GET", `${path}true`)).toMatchObject(refusal(404, "M_NOT_FOUND"));
    expect((await alice.call("GET", `${room}/event/${eventId}`)).body.content).toEqual({});
  });

  test("shows that no longer to a moderator who has been put out of the room", async () => {
    const carol = await hs.registerUser("carol");
    const power_level_content_override = { users: { [alice.userId]: 100, [carol.userId]: 99 } };
    const asked = { preset: "public_chat", room_version: "11", power_level_content_override };
    const own = await alice.createRoom(asked);
    await carol.call("POST", `/v3/join/${own}`, {});
    const eventId = await alice.sendText(own, "deleted");
    await alice.call("PUT", `/v3/rooms/${own}/redact/${eventId}/t`, {});
    const path = `/v3/rooms/${own}/event/${eventId}?fi.mau.msc2815.include_unredacted_content=true`;
    expect((await carol.call("GET", path)).body.content).toEqual({
      body: "deleted",
      msgtype: "m.text",
    });
    await alice.call("POST", `/v3/rooms/${own}/ban`, { user_id: carol.userId });
    expect(await carol.call("GET", path)).toMatchObject(forbidden);
  });

  test("shows no event of before one came, where that is not shown", async () => {
    const closed = await alice.createRoom({
      preset: "public_chat",
      initial_state: [
        { type: "m.room.history_visibility", content: { history_visibility: "joined" } },
      ],
    });
    const before = await alice.sendText(closed, "before");
    await bob.call("POST", `/v3/join/${closed}`, {});
    const after = await alice.sendText(closed, "after");
    const read = async (id: string) =>
      (await bob.call("GET", `/v3/rooms/${closed}/event/${id}`)).status;
    expect([await read(before), await read(after)]).toEqual([404, 200]);
  });
});

/** @spec client-server-api#get_matrixclientv3roomsroomidmessages */
describe("getRoomEvents", () => {
  test("pages both ways through the same events, whatever the size of a page", async () => {
    const long = await alice.createRoom();
    const sent: string[] = [];
    for (let index = 0; index < 7; index++) sent.push(await alice.sendText(long, `${index}`));
    for (const dir of ["b", "f"]) {
      for (const limit of [1, 3, 100]) {
        const found: string[] = [];
        let from: string | undefined;
        do {
          const query = new URLSearchParams({ dir, limit: String(limit), ...(from && { from }) });
          const page = await alice.call("GET", `/v3/rooms/${long}/messages?${query.toString()}`);
          expect(page.body.chunk.length).toBeLessThanOrEqual(limit);
          found.push(...page.body.chunk.map((it) => it.event_id));
          from = page.body.end;
        } while (from !== undefined && found.length < 100);
        const messages = found.filter((it) => sent.includes(it));
        expect(messages).toEqual(dir === "f" ? sent : sent.toReversed());
        expect(new Set(found).size).toBe(found.length);
      }
    }
  });

  test("goes on from a token of sync, up to another, through a filter", async () => {
    const first = await alice.sync();
    const token = joinedRoom(first, roomId).timeline.prev_batch;
    const older = await alice.call("GET", `${room}/messages?dir=b&from=${token}`);
    expect(older.status).toBe(200);
    const since = first.next_batch;
    const eventId = await alice.sendText(roomId, "new");
    const newer = await alice.call("GET", `${room}/messages?dir=f&from=${since}`);
    expect(newer.body.chunk.map((it) => it.event_id)).toEqual([eventId]);
    const upTo = await alice.call("GET", `${room}/messages?dir=b&to=${since}`);
    expect(upTo.body.chunk.map((it) => it.event_id)).toEqual([eventId]);
    const filter = encodeURIComponent(JSON.stringify({ types: ["m.room.create"] }));
    const filtered = await alice.call("GET", `${room}/messages?dir=b&limit=100&filter=${filter}`);
    expect(types(filtered.body.chunk)).toEqual(["m.room.create"]);
    const lazy = encodeURIComponent(JSON.stringify({ lazy_load_members: true }));
    const withMembers = await alice.call("GET", `${room}/messages?dir=b&limit=1&filter=${lazy}`);
    expect(withMembers.body.state.map((it) => it.state_key)).toEqual([alice.userId]);
  });

  test("leaves out the room that a filter does, and who is ignored but for state", async () => {
    const said = await bob.sendText(roomId, "to be ignored");
    const set = { membership: "join", displayname: "Bob, ignored" };
    const own = await bob.call("PUT", `${room}/state/m.room.member/${bob.userId}`, set);
    const read = async (filter: object) => {
      const query = `dir=b&limit=2&filter=${encodeURIComponent(JSON.stringify(filter))}`;
      const page = await alice.call("GET", `${room}/messages?${query}`);
      return page.body.chunk.map((it) => it.event_id);
    };
    expect(await read({ rooms: [roomId] })).toEqual([own.body.event_id, said]);
    expect(await read({ not_rooms: [roomId] })).toEqual([]);
    expect(await read({ rooms: ["!other:hs.test"] })).toEqual([]);
    const list = `/v3/user/${alice.userId}/account_data/m.ignored_user_list`;
    await alice.call("PUT", list, { ignored_users: { [bob.userId]: {} } });
    const left = await read({});
    await alice.call("PUT", list, { ignored_users: {} });
    expect(left[0]).toBe(own.body.event_id);
    expect(left).not.toContain(said);
  });

  test("tells of all senders of a page, whichever way it goes", async () => {
    const talk = await alice.createRoom({ preset: "public_chat" });
    const first = await alice.sendText(talk, "alice");
    await bob.call("POST", `/v3/join/${talk}`, {});
    await bob.sendText(talk, "bob");
    const filter = { lazy_load_members: true, types: ["m.room.message"] };
    const query = `filter=${encodeURIComponent(JSON.stringify(filter))}`;
    for (const dir of ["b", "f"]) {
      const { body } = await alice.call("GET", `/v3/rooms/${talk}/messages?dir=${dir}&${query}`);
      expect(body.chunk.map((it) => it.event_id)).toContain(first);
      const members = body.state.map((it) => it.state_key);
      expect(members.toSorted()).toEqual([alice.userId, bob.userId].toSorted());
    }
  });

  test.each([
    ["", "M_MISSING_PARAM"],
    ["?dir=x", "M_INVALID_PARAM"],
    ["?dir=b&limit=many", "M_INVALID_PARAM"],
    ["?dir=b&from=nowhere", "M_INVALID_PARAM"],
    ["?dir=b&to=nowhere", "M_INVALID_PARAM"],
    ["?dir=b&filter=%7B%22types%22%3A1%7D", "M_INVALID_PARAM"],
    ["?dir=b&filter=%7B", "M_INVALID_PARAM"],
  ])("refuses %s with %s", async (query, errcode) => {
    expect(await alice.call("GET", `${room}/messages${query}`)).toMatchObject(
      refusal(400, errcode),
    );
  });

  test("is forbidden to who is not in the room", async () => {
    expect(await mallory.call("GET", `${room}/messages?dir=b`)).toMatchObject(forbidden);
  });
});

/** @spec client-server-api#get_matrixclientv3roomsroomidcontexteventid */
describe("getEventContext", () => {
  test("answers with what was before and after, and the tokens to go on", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 5; index++) ids.push(await alice.sendText(roomId, `c${index}`));
    const { body } = await bob.call("GET", `${room}/context/${ids[2]}?limit=2`);
    expect(body.event.event_id).toBe(ids[2]);
    expect(body.events_before.map((it) => it.event_id)).toEqual([ids[1]]);
    expect(body.events_after.map((it) => it.event_id)).toEqual([ids[3]]);
    expect(types(body.state)).toContain("m.room.create");
    const filter = encodeURIComponent(JSON.stringify({ not_types: ["m.room.create"] }));
    const filtered = await bob.call("GET", `${room}/context/${ids[2]}?filter=${filter}`);
    expect(types(filtered.body.state)).toContain("m.room.power_levels");
    expect(types(filtered.body.state)).not.toContain("m.room.create");
    const on = await bob.call("GET", `${room}/messages?dir=f&from=${body.end}`);
    expect(on.body.chunk[0]?.event_id).toBe(ids[4]);
    const back = await bob.call("GET", `${room}/messages?dir=b&limit=1&from=${body.start}`);
    expect(back.body.chunk[0]?.event_id).toBe(ids[0]);
    const odd = await bob.call("GET", `${room}/context/${ids[2]}?limit=3`);
    expect(odd.body.events_before.map((it) => it.event_id)).toEqual([ids[1]]);
    expect(odd.body.events_after.map((it) => it.event_id)).toEqual([ids[3], ids[4]]);
    const alone = await bob.call("GET", `${room}/context/${ids[2]}?limit=0`);
    expect([alone.body.events_before, alone.body.events_after]).toEqual([[], []]);
    const all = await bob.call("GET", `${room}/messages?dir=f&limit=2147483647`);
    expect(all.body.chunk.map((it) => it.event_id)).toEqual(expect.arrayContaining(ids));
  });

  test("refuses an event that is not there, and a limit that is none", async () => {
    const nothing = await bob.call("GET", `${room}/context/$nothing`);
    expect(nothing).toMatchObject(refusal(404, "M_NOT_FOUND"));
    const eventId = await alice.sendText(roomId, "here");
    const bad = await bob.call("GET", `${room}/context/${eventId}?limit=x`);
    expect(bad).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    expect(await mallory.call("GET", `${room}/context/${eventId}`)).toMatchObject(forbidden);
  });
});

/** @spec client-server-api#get_matrixclientv1roomsroomidtimestamp_to_event */
describe("getEventByTimestamp", () => {
  test("answers with the event that was sent closest to a moment, either way", async () => {
    const own = await alice.createRoom();
    const ids: string[] = [];
    for (let index = 0; index < 4; index++) {
      ids.push(await alice.sendText(own, `t${index}`));
      // Each in a millisecond of its own.
      await sleep(5);
    }
    const at = async (id = "") =>
      (await alice.call("GET", `/v3/rooms/${own}/event/${id}`)).body.origin_server_ts as number;
    const find = async (ts: number, dir: string) =>
      await alice.call("GET", `/v1/rooms/${own}/timestamp_to_event?ts=${ts}&dir=${dir}`);
    const ts = await at(ids[1]);
    const found = { status: 200, body: { event_id: ids[1], origin_server_ts: ts } };
    expect(await find(ts, "b")).toMatchObject(found);
    expect(await find(ts, "f")).toMatchObject(found);
    expect((await find(ts + 1, "f")).body.event_id).toBe(ids[2]);
    expect((await find(ts - 1, "b")).body.event_id).toBe(ids[0]);
    const notFound = refusal(404, "M_NOT_FOUND");
    expect(await find(0, "b")).toMatchObject(notFound);
    expect(await find((await at(ids[3])) + 60_000, "f")).toMatchObject(notFound);
  });

  test("refuses a moment that is none, and who is not in the room", async () => {
    const uri = `/v1/rooms/${encodeURIComponent(roomId)}/timestamp_to_event`;
    for (const query of ["", "?dir=f", "?ts=5"]) {
      expect((await bob.call("GET", uri + query)).body.errcode).toBe("M_MISSING_PARAM");
    }
    for (const query of ["?ts=x&dir=f", "?ts=5&dir=x"]) {
      expect(await bob.call("GET", uri + query)).toMatchObject(refusal(400, "M_INVALID_PARAM"));
    }
    expect(await mallory.call("GET", `${uri}?ts=5&dir=f`)).toMatchObject(forbidden);
  });
});
