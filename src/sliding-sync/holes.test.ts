import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft, message, topic } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { deliverLive, receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { asking, LENIENT, registered } from "#src/testing-http.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import type { SlidingAnswer } from "../../spec-tests/answers.ts";
import { after } from "./testing.ts";

let servers: TestHomeservers;
let hs: Homeserver;

beforeAll(async () => {
  servers = await testHomeservers(1, LENIENT);
  ({ hs } = servers);
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";
const PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

const idsOf = (events: readonly { readonly event_id: string }[] = []) =>
  events.map((it) => it.event_id);

test("a timeline begins after what is missing, and the state tells of what was before", async () => {
  const ask = asking(hs);
  const { access_token: token, user_id } = await registered(ask, "reader");
  const reader = user_id;
  const remote = new RemoteRoom("12", "sliding-holes");
  let last = remote.add(reader, memberDraft(reader, "join"), [remote.begin(CREATOR)]);
  const room = await receivedRoom(hs, remote);
  const { roomId } = room;
  const bring = async (ids: readonly EventId[], given?: EventId) =>
    await deliverLive(hs, { room, remote }, ids, given);
  const say = (body: string) => (last = remote.add(CREATOR, message(body), [last]));
  const sync = async (query: string) => {
    const lists = {
      all: { ranges: [[0, 9]], timeline_limit: 10, required_state: [["m.room.topic", ""]] },
    };
    const { status, body } = await ask<SlidingAnswer>("POST", `${PATH}${query}`, {
      token,
      body: { lists },
    });
    expect(status).toBe(200);
    const { timeline, limited, prev_batch, required_state } = body.rooms[roomId] ?? {};
    return {
      pos: body.pos,
      prev_batch,
      told: { timeline: idsOf(timeline), state: idsOf(required_state), limited },
    };
  };
  const first = await sync("");

  const before = say("before");
  const set = (last = remote.add(CREATOR, topic("seen"), [last]));
  await bring([before, set]);
  const lost = say("lost");
  const [next, newest] = [say("after"), say("newest")];
  await bring([next, newest], next);
  // Also to one who comes first.
  let { pos } = first;
  for (const query of [after(first), ""]) {
    const answer = await sync(query);
    expect(answer.told).toEqual({ timeline: [next, newest], state: [set], limited: true });
    const older = `/_matrix/client/v3/rooms/${roomId}/messages?dir=b&limit=2&from=${answer.prev_batch}`;
    const { body } = await ask("GET", older, { token });
    expect(idsOf(body.chunk)).toEqual([set, before]);
    ({ pos } = answer);
  }
  await bring([lost]);
  expect((await sync(after({ pos }))).told).toMatchObject({ timeline: [lost], limited: false });
});
