import type { Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import { moveReads, type ReadMark } from "#src/rooms/room-reads.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { lastChangesOf } from "./last-changes.ts";
import { receiptsBetween, upsertReceipts } from "./queries-receipts.ts";
import type { Receipt, ReceiptWrite } from "./receipt.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is a `Receipt`. */
export const RECEIPTS = "receipts";

/** Receipts. None moves backwards in its room's order; one that would is passed over. */
export const receiptsStream: Stream<ReceiptWrite, void> = {
  name: RECEIPTS,
  patienceMs: 25,

  recall(hs, writes): LastReceipts | undefined {
    const last = lastReceipts(hs);
    const its = new Map<string, Receipt>();
    for (const write of writes) {
      const key = keyOf(write);
      const known = last.get(key)?.detail as Receipt | undefined;
      if (!known || !isPlain(known, write.event)) return undefined;
      its.set(key, known);
    }
    return its;
  },

  store: async (_hs, lane, writes, looked) =>
    await store(lane, writes, looked as LastReceipts | undefined),

  async changesBetween(sql, after, upTo) {
    return (await receiptsBetween(sql, after, upTo)).map(changeOf);
  },
};

/** The receipts that were there before, by `keyOf`. */
type LastReceipts = ReadonlyMap<string, Receipt>;

/** How far users said lately to have read, in whatever process. */
const lastReceipts = lastChangesOf(RECEIPTS, ({ detail }) => keyOfReceipt(detail as Receipt));

/** Whether it is plain that an event is ahead of the one of a receipt, or the same. */
function isPlain({ eventKey, read }: Receipt, event: ReceiptWrite["event"]): boolean {
  return event.eventKey === eventKey || (event.anchorOffset === 0 && read < event.anchor);
}

/** @param known what is there, if that is known: else the database says which of the writes move anything. */
async function store(
  lane: Tx,
  writes: readonly Placed<ReceiptWrite>[],
  known: LastReceipts | undefined,
): Promise<readonly Outcome<void>[]> {
  const furthest = new Map<string, Placed<ReceiptWrite>>();
  for (const placed of writes) {
    const key = keyOf(placed.write);
    const known = furthest.get(key);
    if (!known || isBehind(known.write.event, placed.write.event)) furthest.set(key, placed);
  }
  const marks = writes.flatMap(({ write }) => (write.local ? [markOf(write)] : []));
  if (marks.length > 0) moveReads(lane, marks);
  const moved = known
    ? move(lane, [...furthest], known)
    : await moveIfAhead(lane, [...furthest.values()]);
  return writes.map(({ write, position }) => ({
    ok: true,
    result: undefined,
    changes: moved.has(position) ? [changeOf(receiptOf(write, position))] : [],
  }));
}

/** Moves those that are known to be ahead of what is there, without an answer. @returns their positions. */
function move(
  lane: Tx,
  furthest: readonly (readonly [string, Placed<ReceiptWrite>])[],
  known: LastReceipts,
): ReadonlySet<Position> {
  const ahead = furthest.flatMap(([key, it]) =>
    known.get(key)?.eventKey === it.write.event.eventKey ? [] : [it],
  );
  if (ahead.length > 0) void upsertReceipts(lane, ahead);
  return new Set(ahead.map((it) => it.position));
}

async function moveIfAhead(
  lane: Tx,
  furthest: readonly Placed<ReceiptWrite>[],
): Promise<ReadonlySet<Position>> {
  return new Set((await upsertReceipts(lane, furthest)).map((it) => it.position));
}

function keyOf({ event, ...its }: ReceiptWrite): string {
  return keyOfReceipt({ roomKey: event.roomKey, ...its });
}

function keyOfReceipt({
  roomKey,
  userKey,
  type,
  thread,
}: Pick<Receipt, "roomKey" | "userKey" | "type" | "thread">): string {
  return `${roomKey} ${userKey} ${type} ${thread}`;
}

function isBehind(a: ReceiptWrite["event"], b: ReceiptWrite["event"]): boolean {
  return a.anchor < b.anchor || (a.anchor === b.anchor && a.anchorOffset < b.anchorOffset);
}

/** What has been fetched from the past stands before the event whose anchor it has. */
function markOf({ userKey, thread, event }: ReceiptWrite): ReadMark {
  const { roomKey, ordinal } = event;
  const anchor = event.anchorOffset < 0 ? event.anchor - 1 : event.anchor;
  return { userKey, roomKey, thread, anchor, ordinal };
}

function receiptOf({ event, ...write }: ReceiptWrite, position: number): Receipt {
  const { userKey, userId, type, thread, ts } = write;
  const { roomKey, eventId, eventKey, ordinal } = event;
  const read = markOf({ event, ...write }).anchor;
  return { roomKey, userKey, userId, type, thread, eventId, eventKey, read, ordinal, ts, position };
}

/** A private receipt is news for its owner alone. */
function changeOf(receipt: Receipt): Change {
  const { position, roomKey, userKey, type } = receipt;
  const isPrivate = type === "m.read.private";
  return { position, stream: RECEIPTS, roomKey, ...(isPrivate && { userKey }), detail: receipt };
}
