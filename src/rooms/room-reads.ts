import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import type { Pdu } from "#src/events/pdu.ts";
import { MAIN_TIMELINE, relationOf, type ThreadId, threadRootOf } from "#src/events/threads.ts";
import type { Tx } from "#src/homeserver/database.ts";

/** Stands for a room with all its threads, where else a thread is named. */
export const WHOLE_ROOM = "";

/** How far a user of this server has read a room, or one thread of it. */
export type ReadMark = {
  readonly userKey: number;
  readonly roomKey: number;
  readonly thread: ThreadId | typeof WHOLE_ROOM;
  /** The anchor of the last event that is read. */
  readonly anchor: number;
  /** How many events of the room had counted as unread by then. */
  readonly ordinal: number;
};

/** Moves marks forward; those that are further already stay. One statement, for the lane. */
export function moveReads(lane: Tx, marks: readonly ReadMark[]): void {
  void lane`
    insert into room_reads (user_key, room_key, thread, anchor, ordinal)
    select distinct on (user_key, room_key, thread) * from (
      select unnest(${marks.map((it) => it.userKey)}::bigint[]) as user_key,
        unnest(${marks.map((it) => it.roomKey)}::bigint[]) as room_key,
        unnest(${marks.map((it) => it.thread)}::text[]) as thread,
        unnest(${marks.map((it) => it.anchor)}::bigint[]) as anchor,
        unnest(${marks.map((it) => it.ordinal)}::bigint[]) as ordinal) as mark
    order by user_key, room_key, thread, anchor desc
    on conflict (user_key, room_key, thread)
    do update set anchor = excluded.anchor, ordinal = excluded.ordinal
    where room_reads.anchor < excluded.anchor`;
}

/**
 * What somebody has read who sends an event: the part of the room that it goes to. By joining, all that
 * was there before. What merely refers to an event, such as a reaction, and a change of one's own name
 * say nothing of what has been read.
 *
 * @param joins whether by this event the sender becomes a member.
 * @returns undefined if nothing.
 * @spec client-server-api#marking-notifications-as-read
 */
export function readBySending(
  event: Pick<Pdu, "type" | "state_key" | "content">,
  joins: boolean,
): ReadMark["thread"] | undefined {
  if (event.type === "m.room.member") return joins ? WHOLE_ROOM : undefined;
  const root = threadRootOf(event.content);
  if (root !== undefined) return root;
  return relationOf(event.content) && !countsAsUnread(event) ? undefined : MAIN_TIMELINE;
}

/** Stands for the root of what is redacted: it is of no thread, nor is it unread in the main timeline. */
export const NOWHERE = "";

/** An event that counts as unread and is in a thread. */
export type ThreadedEvent = {
  readonly roomKey: number;
  readonly eventKey: number;
  readonly ordinal: number;
  readonly root: string;
};

/** Records events that are not of the main timeline, so that what is unread can be told apart. */
export function insertThreaded(lane: Tx, rows: readonly ThreadedEvent[]): void {
  void lane`
    insert into threaded_events (room_key, event_key, ordinal, root)
    select unnest(${rows.map((it) => it.roomKey)}::bigint[]),
      unnest(${rows.map((it) => it.eventKey)}::bigint[]), unnest(${rows.map((it) => it.ordinal)}::bigint[]),
      unnest(${rows.map((it) => it.root)}::text[])
    on conflict do nothing`;
}

/**
 * Has events count as unread no more that are redacted, or turn out to be no part of their rooms, if they did: those whose place in their room's count is after that of
 * what came before them.
 */
export function uncount(lane: Tx, eventKeys: readonly number[]): void {
  if (eventKeys.length === 0) return;
  void lane`
    insert into threaded_events (room_key, event_key, ordinal, root)
    select room_key, event_key, ordinal, ${NOWHERE} from events
    where event_key = any(${eventKeys}::bigint[]) and anchor_offset = 0 and ordinal > (
      select earlier.ordinal from events as earlier
      where earlier.room_key = events.room_key and earlier.anchor < events.anchor
        and earlier.anchor_offset = 0
      order by earlier.anchor desc limit 1)
    on conflict (room_key, event_key) do update set root = excluded.root`;
}
