import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Range, SyncQuestion, SyncRoomPart, SyncSection } from "#src/streams/sync-section.ts";
import { receiptEvent, typingEvent } from "./ephemeral-events.ts";
import { knownReceipts } from "./known-receipts.ts";
import { receiptsInRooms } from "./queries-receipts.ts";
import { roomsWithTypingAfter } from "./queries-typing.ts";
import type { Receipt } from "./receipt.ts";
import { RECEIPTS } from "./receipts-stream.ts";
import { typingRoomsOf } from "./typing-rooms.ts";
import { TYPING, type TypingDetail } from "./typing-stream.ts";

/**
 * Receipts, as one `m.receipt` event for each room: event ID → receipt type → user ID → when.
 *
 * @spec client-server-api#receipts
 */
export const receiptsSection: SyncSection = {
  name: "receipts",
  streams: [RECEIPTS],

  // Private receipts go to the sender's own devices and nowhere else.
  concerns: ({ roomKey, userKey }, { requester, rooms }) =>
    roomKey !== undefined &&
    rooms.has(roomKey) &&
    (userKey === undefined || userKey === requester.userKey),

  async read(hs, question, range) {
    const receipts = await receiptsFor(hs, question, range);
    const known = await knownReceipts(hs, question.requester, receipts);
    const byRoom = Map.groupBy(known, (it) => it.roomKey);
    const parts = [...byRoom].map(([roomKey, its]): [number, SyncRoomPart] => [
      roomKey,
      { ephemeral: [receiptEvent(its)] },
    ]);
    return { rooms: new Map(parts) };
  },
};

async function receiptsFor(
  hs: Homeserver,
  { requester, rooms, newRooms, changes }: SyncQuestion,
  { after }: Range,
): Promise<readonly Receipt[]> {
  if (!changes || after === undefined) {
    return await receiptsInRooms(hs.sql, requester.userKey, {
      after: after ?? -1,
      rooms: [...rooms.keys()],
      newRooms: [...newRooms],
    });
  }
  const known = [...newRooms];
  const stored =
    known.length === 0
      ? []
      : await receiptsInRooms(hs.sql, requester.userKey, { after, rooms: known, newRooms: known });

  // Of receipts that have moved on since, only the last.
  const latest = new Map<string, Receipt>();
  for (const { stream, roomKey, detail } of changes) {
    if (stream !== RECEIPTS || roomKey === undefined || newRooms.has(roomKey)) continue;
    if (!rooms.has(roomKey)) continue;
    const receipt = detail as Receipt;
    latest.set(`${roomKey} ${receipt.userKey} ${receipt.type} ${receipt.thread}`, receipt);
  }
  return [...stored, ...latest.values()];
}

/**
 * Who types, as one `m.typing` event for each room where that has changed, with all of them.
 *
 * @spec client-server-api#typing-notifications
 */
export const typingSection: SyncSection = {
  name: "typing",
  streams: [TYPING],

  concerns: ({ roomKey, detail }, { rooms }) =>
    roomKey !== undefined && rooms.has(roomKey) && !(detail as TypingDetail).renewed,

  async read(hs, question, range) {
    const parts: [number, SyncRoomPart][] = [];
    for (const [roomKey, changed] of await roomsForTyping(hs, question, range)) {
      const userKeys = await typingRoomsOf(hs).typingIn(roomKey);
      if (userKeys.length === 0 && !changed) continue;
      parts.push([roomKey, { ephemeral: [await typingEvent(hs, userKeys)] }]);
    }
    return { rooms: new Map(parts) };
  },
};

/** The rooms to be told of, and whether the client has to be told even if nobody types there now. */
async function roomsForTyping(
  hs: Homeserver,
  { rooms, newRooms, changes }: SyncQuestion,
  { after }: Range,
): Promise<ReadonlyMap<number, boolean>> {
  if (after === undefined) return new Map([...rooms.keys()].map((it) => [it, false]));
  const changed = changes
    ? changes.flatMap((it) => (it.stream === TYPING ? (it.roomKey ?? []) : []))
    : await roomsWithTypingAfter(hs.sql, [...rooms.keys()], after);
  const told = new Map([...newRooms].map((it): [number, boolean] => [it, false]));
  // Also of rooms that are new: who left one and came back may know of somebody who has stopped since.
  for (const roomKey of changed) if (rooms.has(roomKey)) told.set(roomKey, true);
  return told;
}
