import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { deliverLive, receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { type Ask, asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import type { SlidingAnswer } from "../../spec-tests/answers.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let ask: Ask;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ({ hs } = servers);
  ask = asking(hs);
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";
const SLIDING = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

type Told = { readonly event_id: string };

const idsOf = (events: readonly Told[] = []) => events.map((it) => it.event_id);

/** A room whose members see what happens while they are joined, and one of them, who reads it in every way there is. */
async function roomOfTheJoined(name: string, history_visibility = "joined") {
  const { access_token: token, user_id } = await registered(ask, name);
  const remote = new RemoteRoom("11", name);
  const visibility = {
    type: "m.room.history_visibility",
    state_key: "",
    content: { history_visibility },
  };
  const before = remote.add(CREATOR, visibility, [remote.begin(CREATOR)]);
  const joined = remote.add(user_id, memberDraft(user_id, "join"), [before]);
  const room = await receivedRoom(hs, remote);
  const { roomId } = room;
  const bring = async (...ids: readonly EventId[]) => {
    await deliverLive(hs, { room, remote }, ids);
  };
  const say = (body: string, after: EventId) => remote.add(CREATOR, message(body), [after]);
  const sync = async (since: string, filter: object = {}) => {
    const query = `since=${since}&filter=${encodeURIComponent(JSON.stringify(filter))}`;
    const { body } = await ask("GET", `sync?${query}`, { token });
    const { timeline, state } = body.rooms?.join?.[roomId] ?? {};
    const told = { timeline: idsOf(timeline?.events), state: idsOf(state?.events) };
    return { ...told, limited: timeline?.limited, next: body.next_batch };
  };
  const slide = async (pos = "") => {
    const lists = { all: { ranges: [[0, 9]], timeline_limit: 10, required_state: [] } };
    const { body } = await ask<SlidingAnswer>("POST", `${SLIDING}${pos && `?pos=${pos}`}`, {
      token,
      body: { lists },
    });
    return { timeline: idsOf(body.rooms[roomId]?.timeline), pos: body.pos };
  };
  const read = async (path: string): Promise<readonly Told[]> =>
    (await ask("GET", path, { token })).body.chunk;
  const event = async (id: EventId) =>
    (await ask("GET", `rooms/${roomId}/event/${id}`, { token })).body;
  const notifications = async () => {
    const { body } = await ask("GET", "notifications", { token });
    return idsOf(body.notifications.map((it) => it.event));
  };
  const { next_batch: begun } = (await ask("GET", "sync", { token })).body;
  const reading = { sync, slide, read, event, notifications };
  return { remote, roomId, before, joined, bring, say, begun, ...reading };
}

test("nobody is told what was said in a fork in which they had not come yet", async () => {
  const it = await roomOfTheJoined("reader");
  const { roomId, before, joined, bring, say, sync, slide, read, notifications, begun } = it;
  const { pos } = await slide();
  const [seen, also] = [say("while they are there", joined), say("that too", joined)];
  const late = say("before they came", before);
  await bring(seen, also, late);

  expect((await sync(begun)).timeline).toEqual([seen, also]);
  // Also where more has come than is wanted, so that the newest are read from the database.
  const one = await sync(begun, { room: { timeline: { limit: 1 } } });
  expect(one.timeline).not.toContain(late);
  expect((await slide(pos)).timeline).toEqual([seen, also]);
  expect(idsOf(await read(`events?from=${begun}`))).toEqual([seen, also]);
  expect(await notifications()).toEqual([also, seen]);
  expect(idsOf(await read(`rooms/${roomId}/messages?dir=b&limit=3`))).not.toContain(late);
});

test("whoever is in the room is told its members though the last that came is of such a fork", async () => {
  const { roomId, before, bring, say, begun, sync, read } = await roomOfTheJoined("lists");
  await bring(say("before they came", before));
  const { next } = await sync(begun);
  expect(await read(`rooms/${roomId}/members?at=${next}`)).toHaveLength(2);
});

test("what the room's state has come to by such a fork is told as state", async () => {
  const { remote, before, joined, bring, say, sync, begun } = await roomOfTheJoined("knows");
  const topic = { type: "m.room.topic", state_key: "", content: { topic: "set elsewhere" } };
  const set = remote.add(CREATOR, topic, [before]);
  await bring(say("in this fork", joined), set);
  const first = await sync(begun);
  expect(first.timeline).not.toContain(set);
  expect(first.state).toContain(set);

  const again = remote.add(CREATOR, { ...topic, content: { topic: "anew" } }, [before]);
  const [earlier, later] = [say("earlier", joined), say("later", joined)];
  for (const id of [earlier, again, later]) await bring(id);
  const second = await sync(first.next);
  expect(second).toMatchObject({ timeline: [later], limited: true });
  expect(second.state).toContain(again);
});

test("what somebody was when something was said in another fork is told as it was there", async () => {
  const it = await roomOfTheJoined("asks", "shared");
  const late = it.say("before they came", it.before);
  const here = it.say("while they are there", it.joined);
  await it.bring(here, late);
  const membershipAt = async (id: EventId) => (await it.event(id)).unsigned.membership;
  expect(await membershipAt(here)).toBe("join");
  expect(await membershipAt(late)).toBe("leave");
});
