import { ACCOUNT_DATA } from "#src/account-data/account-data-stream.ts";
import { changesIgnoredUsers } from "#src/account-data/ignored-users.ts";
import type { Receipt } from "#src/ephemeral/receipt.ts";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { MAIN_TIMELINE } from "#src/events/threads.ts";
import { type Filter, NO_FILTER, wantsThreadCounts } from "#src/filters/filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { PUSH_RULES } from "#src/push-rules/push-rules-stream.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import type { Change } from "#src/streams/stream.ts";
import type { Range, SyncQuestion, SyncRoomPart, SyncSection } from "#src/streams/sync-section.ts";
import { type Count, NONE, type RoomCounts } from "./counts.ts";
import { roomsMovedAfter } from "./queries-unread.ts";
import { unreadCounts } from "./unread-counts.ts";

/**
 * How much is unread, of each room where that may have changed.
 *
 * @spec client-server-api#receiving-notifications
 */
export const unreadSection: SyncSection = {
  name: "unread",
  streams: [EVENTS, RECEIPTS, PUSH_RULES, ACCOUNT_DATA],

  concerns: moves,

  async read(hs, question, range) {
    const rooms = await roomsToCount(hs, question, range);
    if (rooms.size === 0) return {};
    const byThread = wantsThreadCounts((question.filter as Filter | undefined) ?? NO_FILTER);
    const parts = [...(await unreadCounts(hs, question.requester, rooms))].map(
      ([roomKey, its]): [number, SyncRoomPart] => [roomKey, { other: partOf(its, byThread) }],
    );
    return { rooms: new Map(parts) };
  },
};

/** Those of some rooms of which how much is unread may have changed since a position. @param changes all that there were since, if known. */
export async function roomsCountedAnew(
  hs: Homeserver,
  {
    changes,
    after,
    ...question
  }: Pick<SyncQuestion, "requester" | "rooms" | "changes"> & {
    readonly after: Position;
  },
): Promise<Iterable<number>> {
  const its = changes?.filter((it) => moves(it, question));
  const about = { ...question, newRooms: new Set<number>(), changes: its };
  return (await roomsToCount(hs, about, { after })).keys();
}

function moves(
  change: Change,
  { requester, rooms }: Pick<SyncQuestion, "requester" | "rooms">,
): boolean {
  if (changesAll(change)) return change.userKey === requester.userKey;
  return change.roomKey !== undefined && rooms.has(change.roomKey) && counts(change, requester);
}

/** Whether a change may be one of all counts of its user. */
function changesAll(change: Change): boolean {
  return change.stream === PUSH_RULES || changesIgnoredUsers(change);
}

/** Of receipts only the user's own matter. */
function counts({ stream, detail }: Change, { userKey }: { userKey: number }): boolean {
  return stream === EVENTS || (stream === RECEIPTS && (detail as Receipt).userKey === userKey);
}

async function roomsToCount(
  hs: Homeserver,
  { requester, rooms, newRooms, changes }: SyncQuestion,
  { after }: Pick<Range, "after">,
): Promise<ReadonlyMap<number, RoomId>> {
  if (after === undefined || changes?.some(changesAll)) return rooms;
  const moved = changes
    ? changes.flatMap((it) => it.roomKey ?? [])
    : await roomsMovedAfter(hs.sql, requester.userKey, [...rooms.keys()], after);
  const wanted = new Map<number, RoomId>();
  for (const roomKey of [...newRooms, ...moved]) {
    const roomId = rooms.get(roomKey);
    if (roomId !== undefined) wanted.set(roomKey, roomId);
  }
  return wanted;
}

function partOf(counts: RoomCounts, byThread: boolean): Record<string, unknown> {
  if (!byThread) return { unread_notifications: wireOf(sum([...counts.values()])) };
  const threads = Object.fromEntries(
    [...counts].flatMap(([root, it]) => (root === MAIN_TIMELINE ? [] : [[root, wireOf(it)]])),
  );
  const main = { unread_notifications: wireOf(counts.get(MAIN_TIMELINE) ?? NONE) };
  if (Object.keys(threads).length === 0) return main;
  return {
    ...main,
    unread_thread_notifications: threads,
    "org.matrix.msc3773.unread_thread_notifications": threads,
  };
}

function wireOf({ notify, highlight }: Count): object {
  return { notification_count: notify, highlight_count: highlight };
}

function sum(counts: readonly Count[]): Count {
  return {
    notify: counts.reduce((total, it) => total + it.notify, 0),
    highlight: counts.reduce((total, it) => total + it.highlight, 0),
  };
}
