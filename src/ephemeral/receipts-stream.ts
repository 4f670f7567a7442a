import type { Tx } from "#src/homeserver/database.ts";
import { moveReads, type ReadMark } from "#src/rooms/room-reads.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { receiptsBetween, upsertReceipts } from "./queries-receipts.ts";
import type { Receipt, ReceiptWrite } from "./receipt.ts";

/** The name of the stream, in every `Change` of it. The detail of its changes is a `Receipt`. */
export const RECEIPTS = "receipts";

/** Receipts. None moves backwards in its room's order; one that would is passed over. */
export const receiptsStream: Stream<ReceiptWrite, void> = {
  name: RECEIPTS,
  patienceMs: 25,

  store: async (_hs, lane, writes) => await store(lane, writes),

  async changesBetween(sql, after, upTo) {
    return (await receiptsBetween(sql, after, upTo)).map(changeOf);
  },
};

async function store(
  lane: Tx,
  writes: readonly Placed<ReceiptWrite>[],
): Promise<readonly Outcome<void>[]> {
  const furthest = new Map<string, Placed<ReceiptWrite>>();
  for (const placed of writes) {
    const key = keyOf(placed.write);
    const known = furthest.get(key);
    if (!known || isBehind(known.write.event, placed.write.event)) furthest.set(key, placed);
  }
  const marks = writes.flatMap(({ write }) => (write.local ? [markOf(write)] : []));
  if (marks.length > 0) moveReads(lane, marks);
  const moved = await upsertReceipts(lane, [...furthest.values()]);
  return writes.map(({ write, position }) => ({
    ok: true,
    result: undefined,
    changes: moved.has(position) ? [changeOf(receiptOf(write, position))] : [],
  }));
}

function keyOf({ event, userKey, type, thread }: ReceiptWrite): string {
  return `${event.roomKey} ${userKey} ${type} ${thread}`;
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
