import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import { knownRoom, receive, RemoteRoom } from "#src/rooms/received/testing.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { aggregateEvents } from "./aggregate-events.ts";
import { readThreads } from "./read-threads.ts";
import { viewOfRoom } from "./view-of-room.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;
let local: Requester;

beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
  local = await testUser(hs, "local");
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";

const relating = (rel_type: string, event_id: EventId, further: object = {}) => ({
  type: "m.room.message",
  content: { body: rel_type, "m.relates_to": { rel_type, event_id }, ...further },
});

/** A room with a thread and an edit in it, of which this server has all up to the local user's join. */
async function threadedRoom(name: string) {
  const remote = new RemoteRoom("12", name);
  const member = { type: "m.room.member", state_key: local.userId };
  const joined = remote.add(local.userId, { ...member, content: { membership: "join" } }, [
    remote.begin(CREATOR),
  ]);
  const basis = [...remote.events.keys()];
  const root = remote.add(CREATOR, { type: "m.room.message", content: { body: "x" } }, [joined]);
  const first = remote.add(CREATOR, relating("m.thread", root), [root]);
  const second = remote.add(CREATOR, relating("m.thread", root), [first]);
  const edit = remote.add(
    CREATOR,
    relating("m.replace", root, { "m.new_content": { body: "y" } }),
    [second],
  );
  const room = await knownRoom(hs, remote);
  const take = async (its: readonly EventId[]) => await receive(hs, { room, remote }, its);
  await take(basis);
  return { remote, room, take, root, first, second, edit };
}

async function aggregated(on: Homeserver, id: EventId) {
  const event = await findEvent(on, id);
  if (!event) throw new Error("the event is not there");
  const { edit, thread } = (await aggregateEvents(on, [event], local)).get(event) ?? {};
  return { edit: edit?.eventId, count: thread?.count, latest: thread?.latest.eventId };
}

describe("what relates to an event of another server", () => {
  test("counts in whatever process one asks", async () => {
    const { take, root, first, second, edit } = await threadedRoom("in-order");
    await take([root, first, second, edit]);
    for (const on of [hs, other]) {
      expect(await aggregated(on, root)).toEqual({ edit, count: 2, latest: second });
    }
  });

  test("counts though it came before, and what is last is so by the room's order", async () => {
    const { remote, room, take, root, first, second, edit } = await threadedRoom("disorder");
    // The others are missing: these stand on events that come later.
    const later = await take([second, edit]);
    expect(new Set([...later.values()].map((it) => it.outcome))).not.toContain("rejected");
    await take([root, first]);
    await take([second, edit]);
    for (const on of [hs, other]) {
      expect(await aggregated(on, root)).toMatchObject({ edit, count: 2 });
      const view = await viewOfRoom(on, local, room.roomId);
      const page = { participated: false, from: undefined, limit: 5 };
      const { roots } = await readThreads(on, local, view, page);
      expect(roots.map((it) => it.eventId)).toEqual([root]);
    }
    const redaction = remote.add(
      CREATOR,
      { type: "m.room.redaction", content: { redacts: second } },
      [edit],
    );
    await take([redaction]);
    for (const on of [hs, other]) {
      expect(await aggregated(on, root)).toEqual({ edit, count: 1, latest: first });
    }
  });
});
