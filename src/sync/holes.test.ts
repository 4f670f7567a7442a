import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { allStateAt, currentStateRoot } from "#src/rooms/current-state.ts";
import {
  deliverLive,
  joinedRoom,
  receive,
  receivedRoom,
  RemoteRoom,
} from "#src/rooms/received/testing.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { readSync } from "./read-sync.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let local: Requester;

beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
  local = await testUser(hs, "local");
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";

test("a timeline begins after what is missing, until that has come", async () => {
  const remote = new RemoteRoom("12", "holes");
  const begun = remote.begin(CREATOR);
  let last = remote.add(local.userId, memberDraft(local.userId, "join"), [begun]);
  const room = await receivedRoom(hs, remote);
  const bring = async (ids: readonly EventId[], given?: EventId) =>
    await deliverLive(hs, { room, remote }, ids, given);
  const say = (body: string) => (last = remote.add(CREATOR, message(body), [last]));
  const sync = async (since: number | undefined) => {
    const request = { filter: {}, fullState: false, stateAfter: undefined };
    const answer = await readSync(hs, { requester: local, since, ...request });
    const { events = [], limited } = answer.timelines.get(room.roomKey) ?? {};
    return { upTo: answer.upTo, told: events.map((it) => it.eventId), limited };
  };
  const { upTo } = await sync(undefined);

  const first = say("before");
  await bring([first]);
  const lost = say("lost");
  const [next, newest] = [say("after"), say("newest")];
  await bring([next, newest], next);
  // Also when it is read again from the database, and by one who comes first.
  for (const since of [upTo, upTo - 1, undefined]) {
    expect(await sync(since)).toMatchObject({ told: [next, newest], limited: true });
  }
  const now = await sync(upTo);
  const later = say("later");
  await bring([later]);
  expect(await sync(now.upTo)).toMatchObject({ told: [later], limited: false });
  await bring([lost]);
  expect((await sync(upTo)).told).toEqual([first, next, newest, later, lost]);
});

test("whoever syncs comes to the room's state, though the past has come to stand between what came before", async () => {
  const remote = new RemoteRoom("11", "late-past");
  const begun = remote.begin(CREATOR);
  const past = [...remote.events.keys()];
  const said = remote.add(CREATOR, message("before"), [begun]);
  const joined = remote.add(local.userId, memberDraft(local.userId, "join"), [said]);
  const room = await joinedRoom(hs, remote, joined);
  const aside = remote.add(CREATOR, message("aside"), [begun]);
  const both = remote.add(CREATOR, message("both"), [joined, aside]);
  await deliverLive(hs, { room, remote }, [both], both);

  const begins = (id: EventId) =>
    new Map([[id, [...(remote.events.get(id)?.before.values() ?? [])]]]);
  const older = async (ids: readonly EventId[]) => {
    const [first = both] = ids;
    await receive(hs, { room, remote }, ids, { as: "history", states: begins(first) });
  };
  await older([...past, aside]);
  await older([said]);

  const state = await allStateAt(hs, await currentStateRoot(hs, room.roomKey));
  for (let limit = 1; limit < 10; limit++) {
    const { timelines, states } = await readSync(hs, {
      requester: local,
      since: undefined,
      filter: { room: { timeline: { limit } } },
      fullState: false,
      stateAfter: undefined,
    });
    const told = [
      ...(states.get(room.roomKey) ?? []),
      ...(timelines.get(room.roomKey)?.events ?? []),
    ].filter((it) => it.stateKey !== undefined);
    const known = new Map(told.map((it) => [`${it.type} ${it.stateKey}`, it.eventId]));
    expect(known, `${limit} events`).toEqual(
      new Map(state.map((it) => [`${it.type} ${it.stateKey}`, it.eventId])),
    );
  }
});
