import { MAIN_TIMELINE, type ThreadId } from "#src/events/threads.ts";
import { mainMark, markOf, type RoomMarks } from "./read-marks.ts";
import type { RoomUnreads } from "./room-unreads.ts";
import { indexAfter } from "./threaded.ts";

/** How much a user has not read. @spec client-server-api#receiving-notifications */
export type Count = { readonly notify: number; readonly highlight: number };

/** How much a user has not read of each part of a room; parts without anything may be left out. */
export type RoomCounts = ReadonlyMap<ThreadId, Count>;

export const NONE: Count = { notify: 0, highlight: 0 };

/** Counts while they are being added up. */
export class Tally {
  readonly counts = new Map<ThreadId, Count>();

  add(thread: ThreadId, { notify, highlight }: Count): void {
    if (notify === 0 && highlight === 0) return;
    const before = this.counts.get(thread) ?? NONE;
    this.counts.set(thread, {
      notify: before.notify + notify,
      highlight: before.highlight + highlight,
    });
  }
}

/** What is unread by the counters of the default rules, without the highlights. */
export function tallyCounters(tally: Tally, room: RoomUnreads, marks: RoomMarks | undefined): void {
  tally.add(MAIN_TIMELINE, {
    notify: mainBetween(room, mainMark(marks).ordinal, room.ordinal),
    highlight: 0,
  });
  for (const [root, { ordinals }] of room.threads) {
    const thread = root as ThreadId;
    const read = indexAfter(ordinals, markOf(marks, thread).ordinal);
    tally.add(thread, { notify: ordinals.length - read, highlight: 0 });
  }
}

/** How many events that count stand in the main timeline after one place in the room's count, up to another. */
export function mainBetween(room: RoomUnreads, after: number, upTo: number): number {
  if (upTo <= after) return 0;
  let count = upTo - after;
  for (const { ordinals } of [...room.threads.values(), room.redacted]) {
    count -= indexAfter(ordinals, upTo) - indexAfter(ordinals, after);
  }
  return Math.max(0, count);
}
