import { countsAsUnread } from "#src/events/counts-as-unread.ts";
import { threadRootOf } from "#src/events/threads.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf } from "#src/kit/identifiers.ts";
import type { NewEvent } from "./room-in-making.ts";
import {
  insertThreaded,
  moveReads,
  readBySending,
  type ReadMark,
  type ThreadedEvent,
} from "./room-reads.ts";
import type { EventRow } from "./stored-event.ts";

type Link = {
  readonly event: NewEvent;
  readonly eventKey: number;
  readonly room: { readonly roomKey: number };
  readonly row: EventRow | undefined;
};

/** Records what new events mean for what is unread: for their senders, who have read so far, and by thread. */
export function noteUnread(hs: Homeserver, lane: Tx, links: readonly Link[]): void {
  const marks = links.flatMap((it) => markOf(hs, it) ?? []);
  const threaded = links.flatMap((it) => threadedOf(it) ?? []);
  if (marks.length > 0) moveReads(lane, marks);
  if (threaded.length > 0) insertThreaded(lane, threaded);
}

function markOf(hs: Homeserver, { event: it, eventKey, room, row }: Link): ReadMark | undefined {
  const { event, sender } = it;
  if (!row || serverNameOf(event.sender) !== hs.name) return undefined;
  const thread = readBySending(event, joins(it));
  if (thread === undefined) return undefined;
  const { roomKey } = room;
  return { userKey: sender.userKey, roomKey, thread, anchor: eventKey, ordinal: row.ordinal };
}

function joins({ event, replaces }: NewEvent): boolean {
  if (event.content["membership"] !== "join" || event.state_key !== event.sender) return false;
  const before = replaces && ("event" in replaces ? replaces.event.content : replaces.content);
  return before?.["membership"] !== "join";
}

function threadedOf({ event: { event }, eventKey, room, row }: Link): ThreadedEvent | undefined {
  const root = threadRootOf(event.content);
  if (root === undefined || !row || !countsAsUnread(event)) return undefined;
  return { roomKey: room.roomKey, eventKey, ordinal: row.ordinal, root };
}
