/** For tests alone: rooms to which we come without their members. */

import { expect } from "vitest";
import { stateKeyOf } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type EventId, type ServerName, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { tailOf } from "#src/streams/tail.ts";
import { allStateAt, currentStateRoot } from "../current-state.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { membersOfRoom } from "../memberships.ts";
import { storeJoinedState } from "../received/store-joined-state.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { isPart, replay, wronglyRedacted, wronglyTold } from "../received/testing-model.ts";
import { knownRoom, type RemoteRoom } from "../received/testing.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { completeRoom } from "./complete-room.ts";

/** The servers that are said to be there. */
export const membersFrom = ["one.test" as ServerName, "two.test" as ServerName];

/** Comes to a room by a join, without its members. @returns the state before it, with them. */
export async function enterPartially(
  hs: Homeserver,
  remote: RemoteRoom,
  basis: readonly EventId[],
) {
  const room = await knownRoom(hs, remote);
  const joinId = basis.at(-1) ?? "$";
  const state = [...(remote.events.get(joinId)?.before.values() ?? [])];
  const isMember = (id: EventId) => remote.graph.events.get(id)?.type === "m.room.member";
  const stored = await storeJoinedState(hs, {
    room,
    stateEvents: state.filter((id) => !isMember(id)).map((id) => remote.received(id)),
    // What authorises the rest, and the join.
    authChain: basis.slice(0, -1).map((id) => remote.received(id)),
    joinEvent: remote.received(joinId),
    membersFrom,
  });
  if (!stored.ok) throw new Error("the room was not entered");
  return { room, joinId, state };
}

/** Has a room's members known, as from a server that is in it. */
export async function complete(
  hs: Homeserver,
  room: Room,
  remote: RemoteRoom,
  { joinId, state }: { joinId: EventId; state: readonly EventId[] },
) {
  await storeOutliers(
    hs,
    room,
    state.map((id) => remote.received(id)),
  );
  return await completeRoom(hs, room, { joinId, state });
}

export async function stateIds(hs: Homeserver, root: number) {
  const events = await allStateAt(hs, root);
  return new Map(events.map((it) => [stateKeyOf(it.type, it.stateKey ?? ""), it.eventId]));
}

/** Whether an event is part of the room, be it told to clients or not. */
function statusOf(event: StoredEvent | undefined): number | undefined {
  return event && isPart(event) ? EventStatus.accepted : event?.status;
}

/** Checks that a room whose members are known is what it would be had they been known all along. */
export async function expectTruth(
  hs: Homeserver,
  room: Room,
  remote: RemoteRoom,
  { basis, later }: { basis: readonly EventId[]; later: readonly EventId[] },
): Promise<void> {
  // What was stored through the other process may not have been heard of yet.
  await tailOf(hs).catchUp();
  const rows = await hs.sql<{ event_id: EventId }[]>`
    select event_id from events where room_key = ${room.roomKey} and anchor is not null
    order by anchor, anchor_offset`;
  const placed = rows.map((it) => it.event_id).filter((id) => later.includes(id));
  expect(new Set(placed)).toEqual(new Set(later));
  const expected = replay(remote, [...basis, ...placed]);
  const events = await findEvents(hs, later);
  for (const id of later) {
    const event = events.get(id);
    const model = remote.events.get(id);
    const passed = expected.softFailed.has(id) ? EventStatus.softFailed : EventStatus.accepted;
    const status = remote.graph.rejected.has(id) ? EventStatus.rejected : passed;
    expect({ id, status: statusOf(event) }).toEqual({ id, status });
    expect(await stateIds(hs, event?.stateBefore ?? 0)).toEqual(model?.before);
    expect(await stateIds(hs, event?.stateAfter ?? 0)).toEqual(model?.after);
  }
  expect(wronglyRedacted(remote, [...events.values()])).toEqual([]);
  const all = await findEvents(hs, [...basis, ...later]);
  expect(wronglyTold(remote, [...all.values()])).toEqual([]);
  expect(await stateIds(hs, await currentStateRoot(hs, room.roomKey))).toEqual(expected.current);
  const members = await membersOfRoom(hs, room.roomKey, ["join"]);
  const joined = [...expected.current.values()]
    .map((id) => remote.graph.events.get(id))
    .filter((it) => it?.type === "m.room.member" && it.content["membership"] === "join");
  const userIds = joined.map((it) => it?.state_key as UserId);
  expect(new Set(members.map((it) => it.userId))).toEqual(new Set(userIds));
  expect(await serversThere(hs, room)).toEqual(
    countOf(userIds.map(serverNameOf).filter((it) => it !== hs.name)),
  );
}

/** The other servers that are owed what is said in a room, and how many of their users are there. */
export async function serversThere(hs: Homeserver, room: Room): Promise<Map<string, number>> {
  const rows = await hs.sql<{ server_name: string; joined: number }[]>`
    select server_name, joined from room_servers
    where room_key = ${room.roomKey} and until is null`;
  return new Map(rows.map((it) => [it.server_name, it.joined]));
}

function countOf(servers: readonly ServerName[]): Map<string, number> {
  return new Map([...Map.groupBy(servers, (it) => it)].map(([name, its]) => [name, its.length]));
}
