import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { banUser, kickUser } from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import { requireRoom } from "#src/rooms/memberships.ts";
import { ensureRoom } from "#src/rooms/received/ensure-room.ts";
import { receiveEvents } from "#src/rooms/received/receive-events.ts";
import { storeJoinedState } from "#src/rooms/received/store-joined-state.ts";
import { RemoteRoom } from "#src/rooms/received/testing.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { EventStatus } from "#src/rooms/stored-event.ts";
import { testHomeservers, type TestHomeservers, testUser } from "#src/testing.ts";
import { redactSenders, redactSendersJob } from "./redact-senders.ts";
import { REDACT_EVENTS } from "./removal.ts";

let servers: TestHomeservers;
let hs: Homeserver;
let other: Homeserver;
beforeAll(async () => {
  servers = await testHomeservers(2);
  [hs, other] = servers.all as [Homeserver, Homeserver];
});
afterAll(async () => await servers.close());

const CREATOR: UserId = "@creator:one.test";
const SPAMMER: UserId = "@spammer:two.test";
let rooms = 0;

const say = (body: string) => ({ type: "m.room.message", content: { msgtype: "m.text", body } });
const becomes = (membership: string, further = {}) => ({
  type: "m.room.member",
  state_key: SPAMMER,
  content: { membership, ...further },
});

/** A room of other servers that somebody has joined who is to be removed. */
async function begun() {
  const remote = new RemoteRoom("12", `removal${rooms++}`);
  const join = remote.add(SPAMMER, becomes("join"), [remote.begin(CREATOR)]);
  if (remote.roomId === undefined) throw new Error("no room");
  const room = await ensureRoom(hs, remote.roomId, remote.rules);
  const ids = [...remote.events.keys()];
  await receiveEvents(
    hs,
    room,
    ids.map((id) => remote.received(id)),
    { as: "live" },
  );
  const receive = async (id: EventId, as: "live" | "history" = "live") =>
    (await receiveEvents(hs, room, [remote.received(id)], { as })).get(id);
  return { remote, room, join, receive };
}

const redactionOf = async (on: Homeserver, id: EventId) => (await findEvent(on, id))?.redactedBy;

test("all processes see it, what is in their memory and what is not", async () => {
  const alice = await testUser(hs, "alice");
  const bob = await testUser(hs, "bob");
  const roomId = await createRoom(hs, alice, { preset: "public_chat" });
  const room = await requireRoom(hs, roomId);
  await joinRoom(hs, bob, roomId);
  const ids: EventId[] = [];
  for (const n of ["1", "2", "3"]) {
    ids.push(await sendEvent(hs, { sender: bob, room, draft: say(n) }));
  }
  for (const id of ids.slice(1)) await findEvent(other, id);
  await banUser(hs, alice, { roomId, target: bob.userId, redactEvents: true });
  for (const on of servers.all) {
    for (const id of ids) {
      await expect.poll(async () => await redactionOf(on, id), { timeout: 20_000 }).toBeDefined();
    }
  }
  const [{ left } = { left: 0 }] = await hs.sql<{ left: number }[]>`
    select count(*)::int as left from events where event_id = any(${ids}::text[]) and redacted_by is null`;
  expect(left).toBe(0);
});

test("what a removal by another server asks for is done, and done for what comes late", async () => {
  const { remote, join, receive } = await begun();
  const known = remote.add(SPAMMER, say("buy"), [join]);
  await receive(known);
  const ban = remote.add(CREATOR, becomes("ban", { [REDACT_EVENTS]: true }), [known]);
  await receive(ban);
  await redactSenders(hs);
  const banKey = (await findEvent(hs, ban))?.eventKey;
  expect(banKey).toBeDefined();
  expect(await redactionOf(hs, known)).toBe(banKey);

  // It branches off before the ban, so the rules allow it there; but the sender is out of the room now.
  const late = remote.add(SPAMMER, say("still cheap"), [join]);
  await receive(late);
  expect((await findEvent(hs, late))?.status).toBe(EventStatus.softFailed);
  expect(await redactionOf(hs, late)).toBe(banKey);
});

test("it stops with the next membership, and is forgotten then", async () => {
  const { remote, room, join, receive } = await begun();
  const kick = remote.add(CREATOR, becomes("leave", { [REDACT_EVENTS]: true }), [join]);
  await receive(kick);
  await redactSenders(hs);
  const kept = async () =>
    await hs.sql`select from sender_redactions where room_key = ${room.roomKey}`;
  await redactSendersJob.run(hs, hs.stopping);
  expect(await kept()).toHaveLength(1);
  const again = remote.add(SPAMMER, becomes("join"), [kick]);
  await receive(again);
  const later = remote.add(SPAMMER, say("sorry"), [again]);
  await receive(later);
  expect(await redactionOf(hs, later)).toBeUndefined();
  await redactSendersJob.run(hs, hs.stopping);
  expect(await kept()).toHaveLength(0);
});

test("what a process has begun another ends", async () => {
  const alice = await testUser(hs, "alice");
  const carol = await testUser(hs, "carol");
  const roomId = await createRoom(hs, alice, { preset: "public_chat" });
  const room = await requireRoom(hs, roomId);
  await joinRoom(hs, carol, roomId);
  const id = await sendEvent(hs, { sender: carol, room, draft: say("said") });
  await kickUser(hs, alice, { roomId, target: carol.userId, redactEvents: true });
  await hs.sql`update events set redacted_by = null where event_id = ${id}`;
  await hs.sql`
    update sender_redactions set done = false, down_anchor = redaction_key
    where room_key = ${room.roomKey}`;
  await redactSendersJob.run(other, other.stopping);
  const [row] = await hs.sql<{ redacted_by: number | null }[]>`
    select redacted_by from events where event_id = ${id}`;
  expect(row?.redacted_by).not.toBeNull();
});

test("who comes to a room later is given the past without what those had sent who were removed so", async () => {
  const local = await testUser(hs, "latecomer");
  const remote = new RemoteRoom("12", `removal${rooms++}`);
  const begin = remote.begin(CREATOR);
  const join = remote.add(SPAMMER, becomes("join"), [begin]);
  const said = remote.add(SPAMMER, say("buy"), [join]);
  const other = remote.add(CREATOR, say("no"), [said]);
  const ban = remote.add(CREATOR, becomes("ban", { [REDACT_EVENTS]: true }), [other]);
  const joins = { type: "m.room.member", state_key: local.userId, content: { membership: "join" } };
  const comes = remote.add(local.userId, joins, [ban]);
  const room = await ensureRoom(hs, remote.roomId ?? "!", remote.rules);
  const before = [...(remote.events.get(comes)?.before.values() ?? [])];
  const cited = [...remote.events.keys()].filter((id) => id !== said && id !== other);
  await storeJoinedState(hs, {
    room,
    stateEvents: before.map((id) => remote.received(id)),
    authChain: cited.filter((id) => id !== comes).map((id) => remote.received(id)),
    joinEvent: remote.received(comes),
  });
  const states = new Map([[said, [...(remote.events.get(said)?.before.values() ?? [])]]]);
  const past = [said, other].map((id) => remote.received(id));
  const receipts = await receiveEvents(hs, room, past, { as: "history", states });
  expect(receipts.get(said)?.outcome).toBe("accepted");
  expect(await redactionOf(hs, said)).toBe((await findEvent(hs, ban))?.eventKey);
  expect(await redactionOf(hs, other)).toBeUndefined();
});
