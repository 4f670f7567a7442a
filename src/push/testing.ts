/** Users who talk and read. For tests alone. */

import { expect } from "vitest";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { createRoom } from "#src/membership/create-room.ts";
import { joinRoom } from "#src/membership/join-room.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { requireJoined } from "#src/rooms/memberships.ts";
import { redactEvent } from "#src/rooms/redact-event.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { testHomeservers, testUser } from "#src/testing.ts";
import { unreadCounts } from "./unread-counts.ts";

let made = 0;

/**
 * Two processes of a homeserver, and users who talk there; what is unread is counted by both.
 *
 * The processes are closed by `house.close`.
 */
export async function countingHouse() {
  const house = await testHomeservers(2);
  const { hs } = house;
  const newUser = async (name: string) => await testUser(hs, `${name}${++made}`);

  async function roomOf(creator: Requester, ...others: readonly Requester[]): Promise<Room> {
    const roomId = await createRoom(hs, creator, { preset: "public_chat" });
    for (const it of others) await joinRoom(hs, it, roomId);
    return await requireJoined(hs, creator, roomId);
  }

  const say = async (
    sender: Requester,
    room: Room,
    its: { type?: string; content?: object; at?: Homeserver } = {},
  ): Promise<EventId> => {
    const { type = "m.room.message", content = {}, at = hs } = its;
    const draft = { type, content: { body: "hello there", msgtype: "m.text", ...content } };
    return await sendEvent(at, { sender, room, draft: draft as unknown as EventDraft });
  };

  const redact = async (requester: Requester, room: Room, target: EventId, at = hs) => {
    const transaction = { deviceKey: requester.deviceKey ?? 0, txnId: `${++made}` };
    await redactEvent(at, { requester, room, target, content: {}, transaction });
  };

  /** Counts by thread as seen by each process, which must agree. */
  async function countsOf(user: Requester, room: Room): Promise<Record<string, [number, number]>> {
    const rooms = new Map([[room.roomKey, room.roomId]]);
    const seen = [];
    for (const process of house.all) {
      await tailOf(process).catchUp();
      const counts = (await unreadCounts(process, user, rooms)).get(room.roomKey);
      const entries = [...(counts ?? [])].map(([thread, it]) => [
        thread,
        [it.notify, it.highlight],
      ]);
      seen.push(Object.fromEntries(entries) as Record<string, [number, number]>);
    }
    expect(seen[0]).toEqual(seen[1]);
    return seen[0] ?? {};
  }

  return { house, hs, newUser, roomOf, say, redact, countsOf };
}

export const inThread = (root: EventId) => ({
  "m.relates_to": { rel_type: "m.thread", event_id: root },
});
export const mentions = (user: Requester) => ({ "m.mentions": { user_ids: [user.userId] } });
