import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Owner } from "#src/push-rules/stored-push-rules.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { WHOLE_ROOM } from "#src/rooms/room-reads.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { threadOf } from "#src/rooms/thread-of.ts";
import { tallyByRules } from "./count-by-rules.ts";
import { type CountingMode, countingMode } from "./counting-mode.ts";
import { type RoomCounts, Tally, tallyCounters } from "./counts.ts";
import { markOf, readMarksOf, type RoomMarks } from "./read-marks.ts";
import { type RoomUnreads, roomUnreadsOf } from "./room-unreads.ts";
import { type Reader, readerOf } from "./try-rules.ts";

/**
 * How much a user of this server has not read in rooms that they are joined to, by thread.
 *
 * For most users and rooms it is the difference of two counters in memory; where a user's own rules, or
 * that they ignore somebody, may come to something else, their rules are tried on each event.
 *
 * @param rooms by their keys.
 * @spec client-server-api#receiving-notifications
 */
export async function unreadCounts(
  hs: Homeserver,
  owner: Owner,
  rooms: ReadonlyMap<number, RoomId>,
): Promise<ReadonlyMap<number, RoomCounts>> {
  const [reader, marks, unreads] = await Promise.all([
    readerOf(hs, owner),
    readMarksOf(hs, owner.userKey),
    roomUnreadsOf(hs, [...rooms.keys()]),
  ]);
  const counts = new Map<number, RoomCounts>();
  for (const room of unreads) {
    const roomId = rooms.get(room.roomKey);
    if (roomId === undefined) continue;
    const where = { room, roomId, marks: marks.get(room.roomKey) };
    counts.set(room.roomKey, await countsOf(hs, reader, where));
  }
  return counts;
}

type Where = {
  readonly room: RoomUnreads;
  readonly roomId: RoomId;
  readonly marks: RoomMarks | undefined;
};

async function countsOf(hs: Homeserver, reader: Reader, where: Where): Promise<RoomCounts> {
  const mode = modeFor(reader, where.roomId);
  const tally = new Tally();
  if (mode === "rules") await tallyByRules(hs, tally, reader, where);
  if (mode === "counters") tallyCounters(tally, where.room, where.marks);
  if (mode === "counters" || mode === "highlights") {
    await tallyHighlights(hs, tally, reader.owner, { ...where, mode });
  }
  return tally.counts;
}

function modeFor({ rules, ignored }: Reader, roomId: RoomId): CountingMode {
  const mode = countingMode(rules, roomId);
  return ignored.size > 0 && mode !== "silent" ? "rules" : mode;
}

/** Whether an event is still what it was when it came: neither redacted, nor has it turned out to be no part of the room. */
function isWhole({ redactedBy, status }: StoredEvent): boolean {
  return redactedBy === undefined && status === EventStatus.accepted;
}

/** Highlights notify, too; those of events that count have been counted. */
async function tallyHighlights(
  hs: Homeserver,
  tally: Tally,
  { userKey }: Owner,
  { room, marks, mode }: Where & { readonly mode: CountingMode },
): Promise<void> {
  const keys = await room.highlightsFor(hs, userKey, marks?.get(WHOLE_ROOM)?.anchor ?? 0);
  if (keys.length === 0) return;
  for (const event of (await eventsOf(hs, keys)).values()) {
    if (event.senderKey === userKey || !isWhole(event)) continue;
    const thread = await threadOf(hs, event);
    if (event.eventKey <= markOf(marks, thread).anchor) continue;
    const { type, content, stateKey } = event;
    const about = { type, content, ...(stateKey !== undefined && { state_key: stateKey }) };
    const isCounted = mode === "counters" && countsAsUnread(about);
    tally.add(thread, { notify: isCounted ? 0 : 1, highlight: 1 });
  }
}
