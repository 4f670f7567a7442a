import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { storeJoinedState } from "#src/rooms/received/store-joined-state.ts";
import { knownRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { syncOn } from "./testing.ts";

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
const ONE = "one.test" as ServerName;
const NAME = { type: "m.room.name", state_key: "", sender: CREATOR, content: { name: "Far away" } };

type Answer = {
  readonly next_batch: string;
  readonly rooms?: {
    readonly invite?: Record<
      string,
      {
        invite_state: { events: { type: string; event_id?: string }[] };
        state: { events: { event_id: string }[] };
      }
    >;
    readonly leave?: Record<string, { timeline: { events: { event_id: string }[] } }>;
    readonly join?: Record<string, unknown>;
  };
};

async function sync(on: Homeserver, since?: string): Promise<Answer> {
  await tailOf(on).catchUp();
  return (await syncOn(on, local, since)) as Answer;
}

async function invited(name: string) {
  const remote = new RemoteRoom("12", name);
  let last = remote.begin(CREATOR);
  last = remote.add(CREATOR, { ...NAME }, [last]);
  const invite = remote.add(CREATOR, memberDraft("invite"), [last]);
  const room = await knownRoom(hs, remote);
  const told = { room, received: remote.received(invite), membership: "invite" as const };
  expect(
    await storeOutsideMembership(hs, { ...told, told: { strippedState: [NAME], by: ONE } }),
  ).toEqual({
    stored: true,
  });
  return { remote, room, invite };
}

function memberDraft(membership: string) {
  return { type: "m.room.member", state_key: local.userId, content: { membership } };
}

function received(remote: RemoteRoom, ids: Iterable<EventId>) {
  return [...ids].map((id) => remote.received(id));
}

describe("an invitation to a room of other servers", () => {
  test("is told with what the other server says of the room, whichever process is asked", async () => {
    const [before, elsewhere] = [await sync(hs), await sync(other)];
    const { remote, invite } = await invited("told");
    for (const [on, since] of [
      [hs, before.next_batch],
      [other, elsewhere.next_batch],
      [hs, undefined],
    ] as const) {
      const room = (await sync(on, since)).rooms?.invite?.[remote.roomId ?? ""];
      expect(room?.invite_state.events.map((it) => it.type)).toEqual([
        "m.room.name",
        "m.room.member",
      ]);
      expect(room?.invite_state.events.map((it) => it.event_id)).toEqual([undefined, invite]);
      expect(room?.state.events.map((it) => it.event_id)).toEqual([invite]);
    }
  });

  test("is none if it has the ID of an event of another room", async () => {
    const { invite } = await invited("first");
    const remote = new RemoteRoom("1", "second");
    const begun = remote.begin(CREATOR);
    const second = await knownRoom(hs, remote);
    const own = remote.add(CREATOR, memberDraft("invite"), [begun]);
    const { event, json } = remote.received(own);
    const received = { event: { ...event, event_id: invite }, json };
    expect(
      await storeOutsideMembership(hs, { room: second, received, membership: "invite" }),
    ).toEqual({ stored: false });
    const { invite: invites = {} } = (await sync(hs)).rooms ?? {};
    expect(invites).not.toHaveProperty([remote.roomId ?? ""]);
  });

  test("is forgotten when it is refused, and the client told how", async () => {
    const { remote, room, invite } = await invited("refused");
    const since = (await sync(hs)).next_batch;
    const leave = remote.add(local.userId, memberDraft("leave"), [invite]);
    await storeOutsideMembership(hs, {
      room,
      received: remote.received(leave),
      membership: "leave",
    });
    const { leave: leaves = {} } = (await sync(hs, since)).rooms ?? {};
    expect(Object.keys(leaves)).toEqual([remote.roomId]);
    const { timeline } = leaves[remote.roomId ?? ""] ?? {};
    expect(timeline?.events.map((it) => it.event_id)).toEqual([leave]);
    const left = await hs.sql`select from received_invites where room_key = ${room.roomKey}`;
    expect(left).toHaveLength(0);
  });

  test("leads into the room, whose own state counts from then on", async () => {
    const { remote, room, invite } = await invited("joined");
    const since = (await sync(hs)).next_batch;
    const join = remote.add(local.userId, memberDraft("join"), [invite]);
    const state = remote.events.get(join)?.before.values() ?? [];
    const stored = await storeJoinedState(hs, {
      room,
      stateEvents: received(remote, state),
      authChain: [],
      joinEvent: remote.received(join),
    });
    expect(stored.ok).toBe(true);
    const answer = await sync(hs, since);
    expect(Object.keys(answer.rooms?.join ?? {})).toEqual([remote.roomId]);
    expect(
      await hs.sql`select from received_invites where room_key = ${room.roomKey}`,
    ).toHaveLength(0);
    const own = await stateEvent(hs, room.roomKey, "m.room.member", local.userId);
    expect(own?.eventId).toBe(join);

    // And nobody outside can say any more what somebody is in it.
    const late = { room, received: remote.received(invite), membership: "leave" as const };
    expect(await storeOutsideMembership(hs, late)).toEqual({ stored: false });
  });
});
