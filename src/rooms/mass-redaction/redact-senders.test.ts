import { afterAll, beforeAll, expect, test } from "vitest";
import { memberDraft, message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import { banUser, kickUser } from "#src/membership/change-members.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import { findEvent } from "#src/rooms/find-event.ts";
import { requireRoom } from "#src/rooms/memberships.ts";
import { joinedRoom, receive, receivedRoom, RemoteRoom } from "#src/rooms/received/testing.ts";
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

const becomes = (membership: string, further = {}) => memberDraft(SPAMMER, membership, further);

/** A room of other servers that somebody has joined who is to be removed. */
async function begun() {
  const remote = new RemoteRoom("12", `removal${rooms++}`);
  const join = remote.add(SPAMMER, becomes("join"), [remote.begin(CREATOR)]);
  const room = await receivedRoom(hs, remote);
  const take = async (id: EventId, as: "live" | "history" = "live") =>
    (await receive(hs, { room, remote }, [id], { as })).get(id);
  return { remote, room, join, take };
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
    ids.push(await sendEvent(hs, { sender: bob, room, draft: message(n) }));
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
  const { remote, join, take } = await begun();
  const known = remote.add(SPAMMER, message("buy"), [join]);
  await take(known);
  const ban = remote.add(CREATOR, becomes("ban", { [REDACT_EVENTS]: true }), [known]);
  await take(ban);
  await redactSenders(hs);
  const banKey = (await findEvent(hs, ban))?.eventKey;
  expect(banKey).toBeDefined();
  expect(await redactionOf(hs, known)).toBe(banKey);

  // It branches off before the ban, so the rules allow it there; but the sender is out of the room now.
  const late = remote.add(SPAMMER, message("still cheap"), [join]);
  await take(late);
  expect((await findEvent(hs, late))?.status).toBe(EventStatus.softFailed);
  expect(await redactionOf(hs, late)).toBe(banKey);
});

test("it stops with the next membership, and is forgotten then", async () => {
  const { remote, room, join, take } = await begun();
  const kick = remote.add(CREATOR, becomes("leave", { [REDACT_EVENTS]: true }), [join]);
  await take(kick);
  await redactSenders(hs);
  const kept = async () =>
    await hs.sql`select from sender_redactions where room_key = ${room.roomKey}`;
  await redactSendersJob.run(hs, hs.stopping);
  expect(await kept()).toHaveLength(1);
  const again = remote.add(SPAMMER, becomes("join"), [kick]);
  await take(again);
  const later = remote.add(SPAMMER, message("sorry"), [again]);
  await take(later);
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
  const id = await sendEvent(hs, { sender: carol, room, draft: message("said") });
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
  const said = remote.add(SPAMMER, message("buy"), [join]);
  const other = remote.add(CREATOR, message("no"), [said]);
  const ban = remote.add(CREATOR, becomes("ban", { [REDACT_EVENTS]: true }), [other]);
  const comes = remote.add(local.userId, memberDraft(local.userId, "join"), [ban]);
  const room = await joinedRoom(hs, remote, comes, [begin, join, ban]);
  const states = new Map([[said, [...(remote.events.get(said)?.before.values() ?? [])]]]);
  const receipts = await receive(hs, { room, remote }, [said, other], { as: "history", states });
  expect(receipts.get(said)?.outcome).toBe("accepted");
  expect(await redactionOf(hs, said)).toBe((await findEvent(hs, ban))?.eventKey);
  expect(await redactionOf(hs, other)).toBeUndefined();
});
