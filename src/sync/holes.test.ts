import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { deliverLive, receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
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
