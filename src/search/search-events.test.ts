import { afterAll, beforeAll, expect, test } from "vitest";
import { createRoom } from "#src/membership/create-room.ts";
import { requireRoom } from "#src/rooms/memberships.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { catchUpSearch } from "./follow-events.ts";
import { shareOf } from "./queries-search.ts";
import { searchEvents } from "./search-events.ts";

let servers: TestHomeservers;

beforeAll(async () => {
  servers = await testHomeservers(2, LENIENT);
});
afterAll(async () => await servers.close());

test("finds what is in a user's rooms alone, be they most of all or few", async () => {
  const { hs } = servers;
  const writers = [await testUser(hs, "alice"), await testUser(hs, "bob")] as const;
  const made = [await createRoom(hs, writers[0], {}), await createRoom(hs, writers[1], {})];
  const rooms = await Promise.all(made.map(async (it) => await requireRoom(hs, it)));
  const [, few] = rooms;
  const say = async (index: 0 | 1, body: string) => {
    const draft = { type: "m.room.message", content: { msgtype: "m.text", body } };
    const room = rooms[index];
    return room && (await sendEvent(hs, { sender: writers[index], room, draft }));
  };
  for (let time = 0; time < 20; time++) await say(0, `harbour ${time}`);
  const own = await say(1, "harbour of bob");
  const found = async () => {
    const search = { term: "harbour", keys: ["content.body"], order: "recent", limit: 50 } as const;
    const asked = { ...search, filter: undefined, after: undefined };
    const all = await Promise.all(writers.map(async (it) => await searchEvents(hs, it, asked)));
    return all.map(({ hits }) => hits.map((it) => it.event.eventId));
  };
  const roomKey = few?.roomKey ?? 0;

  const before = await found();
  expect(await shareOf(hs.sql, [roomKey])).toBe(1);
  expect(before.map((it) => it.length)).toEqual([20, 1]);
  expect(before[1]).toEqual([own]);

  await hs.sql`analyze search_entries`;
  expect(await shareOf(hs.sql, [roomKey])).toBeLessThan(0.25);
  expect(await found()).toEqual(before);
});

test("finds what is said after a redaction of what no event can be called", async () => {
  const [here, there] = servers.all.map(asking);
  if (!here || !there) throw new RangeError("two homeservers are needed");
  const { access_token: token } = await registered(here, "carol");
  const { room_id } = (await here("POST", "createRoom", { token, body: {} })).body;
  const say = async (body: string) => {
    const path = `rooms/${room_id}/send/m.room.message/${body}`;
    const answer = await here("PUT", path, { token, body: { msgtype: "m.text", body } });
    return answer.body.event_id as string;
  };
  // As another server may have sent it: what its version does not look at may hold anything.
  const eventId = await say("pier");
  const json = { type: "m.room.redaction", content: { redacts: "$a\0" }, redacts: "$b\0" };
  await servers.hs.sql`
    update events set type = 'm.room.redaction', json = ${JSON.stringify(json)}
    where event_id = ${eventId}`;
  await say("quay");
  const search = { search_categories: { room_events: { search_term: "quay" } } };
  const answer = await there("POST", "search", { token, body: search });
  expect(answer.body.search_categories?.room_events.count).toBe(1);
});

test("keeps nothing of what was redacted where a process that has not heard of that yet follows", async () => {
  const [early, late] = servers.all;
  if (!early || !late) throw new RangeError("two homeservers are needed");
  const [here, there] = servers.all.map(asking) as [Ask, Ask];
  const { access_token: token } = await registered(there, "dora");
  const { room_id } = (await there("POST", "createRoom", { token, body: {} })).body;
  const body = { msgtype: "m.text", body: "a secret" };
  const path = `rooms/${room_id}/send/m.room.message/secret`;
  const { event_id } = (await there("PUT", path, { token, body })).body;
  await catchUpSearch(late);
  const kept = async () =>
    (
      await late.sql`
        select from search_entries join events using (event_key) where event_id = ${event_id}`
    ).count;
  expect(await kept()).toBe(1);
  // It reads nothing of others meanwhile but what it asks for.
  const hears = tailOf(late).expectOwn();
  const redact = `rooms/${room_id}/redact/${event_id}/redaction`;
  expect((await here("PUT", redact, { token, body: {} })).status).toBe(200);
  await catchUpSearch(late);
  hears();
  expect(await kept()).toBe(0);
});
