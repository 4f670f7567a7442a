/** Rooms of which another server has more than ours. For tests alone. */

import { afterAll, beforeEach } from "vitest";
import { type Peer, type SharedRoom, testPeer } from "#federation/inbound/testing.ts";
import { testFederation } from "#federation/testing.ts";
import { message } from "#src/events/testing.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { testUser } from "#src/testing.ts";
import { readMessages } from "#src/timeline/read-messages.ts";
import type { Place } from "#src/timeline/token.ts";
import { viewOfRoom } from "#src/timeline/view-of-room.ts";
import { EventStatus } from "../stored-event.ts";
import { fillOwedHoles } from "./job-fill-holes.ts";

/** A homeserver of ours, and another server, which has nothing to say when a test begins. */
export async function holedFederation() {
  const federation = await testFederation();
  const { hs } = await federation.open();
  const peer = await testPeer(federation);
  beforeEach(() => {
    peer.answer(() => undefined);
    peer.asked.length = 0;
  });
  afterAll(async () => await federation.close());
  return { federation, hs, peer };
}

/** Adds messages to a room, one after the other, as its other server has them. */
export function chain(
  peer: Peer,
  { remote, joined }: Pick<SharedRoom, "remote" | "joined">,
  count: number,
  after = joined,
): EventId[] {
  const ids: EventId[] = [];
  for (let index = 0; index < count; index++) {
    ids.push(remote.add(peer.user("creator"), message(`${index}`), [ids.at(-1) ?? after]));
  }
  return ids;
}

/** All that is shown of a room, in its order. */
export async function shown(hs: Homeserver, { room }: SharedRoom): Promise<string[]> {
  const rows = await hs.sql<{ event_id: string }[]>`
    select event_id from events where room_key = ${room.roomKey} and status = ${EventStatus.accepted}
    order by anchor, anchor_offset`;
  return rows.map((it) => it.event_id);
}

/** What is missing in a room, and whether it is to be fetched by itself. */
export async function missing(
  hs: Homeserver,
  { room }: SharedRoom,
): Promise<{ missing_id: string; owed: boolean }[]> {
  return await hs.sql`select missing_id, owed from missing_events where room_key = ${room.roomKey}`;
}

/** Runs the job until nothing is due; what failed before is due again. */
export async function fill(hs: Homeserver): Promise<void> {
  await hs.sql`update missing_events set due_ms = 0`;
  while ((await fillOwedHoles.run(hs, new AbortController().signal)) === "more");
}

/** All pages of a room as a user of ours reads them backwards, the newest first. */
export async function pages(
  hs: Homeserver,
  { room }: Pick<SharedRoom, "room">,
  limit: number,
): Promise<string[]> {
  const reader = await testUser(hs, "local");
  const ids: string[] = [];
  let from: Place | undefined;
  for (let count = 0; count < 200; count++) {
    const view = await viewOfRoom(hs, reader, room.roomId);
    const request = { direction: "b" as const, from, to: undefined, limit, filter: undefined };
    const page = await readMessages(hs, reader, view, request);
    ids.push(...page.events.map((it) => it.eventId));
    if (!page.end || (page.events.length === 0 && from === page.end)) return ids;
    from = page.end;
  }
  throw new Error("the pages have no end");
}
