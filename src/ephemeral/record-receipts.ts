import { MAIN_TIMELINE } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import { WHOLE_ROOM } from "#src/rooms/room-reads.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { write } from "#src/streams/write.ts";
import { forgetFurtherThreads } from "./queries-receipts.ts";
import type { ReceivedReceipt } from "./receipt.ts";
import { receiptsStream } from "./receipts-stream.ts";
import { waitingReceiptsOf } from "./waiting-receipts.ts";

/**
 * Of how many threads of a room a user's receipts are kept, the newest. Which threads there are only the user's server says here: their
 * roots may be older than what we have of the room.
 */
const MOST_THREADS = 500;

/**
 * Records how far users of other servers have read. A receipt for an event that has not come yet waits
 * a moment for it.
 *
 * @spec server-server-api#receipts
 */
export async function recordReceipts(
  hs: Homeserver,
  receipts: readonly ReceivedReceipt[],
): Promise<void> {
  if (receipts.length === 0) return;
  const early = await recordKnown(hs, receipts);
  await forgetFurther(hs, receipts);
  if (early.length === 0) return;
  waitingReceiptsOf(hs).add(early, async (its) => {
    await recordKnown(hs, its);
  });
  // What has come while it was looked for, nobody would be told of.
  await recordKnown(hs, early);
}

async function forgetFurther(hs: Homeserver, receipts: readonly ReceivedReceipt[]): Promise<void> {
  const threaded = receipts.filter(
    ({ thread }) => thread !== undefined && thread !== MAIN_TIMELINE,
  );
  if (threaded.length > 0) await forgetFurtherThreads(hs.sql, threaded, MOST_THREADS);
}

/** @returns those of which no event is known. */
async function recordKnown(
  hs: Homeserver,
  receipts: readonly ReceivedReceipt[],
): Promise<ReceivedReceipt[]> {
  const events = await findEvents(
    hs,
    receipts.flatMap((it) => it.eventIds),
  );
  const early: ReceivedReceipt[] = [];
  await Promise.all(
    receipts.map(async (receipt) => {
      const { room, userKey, userId, thread = WHOLE_ROOM, ts } = receipt;
      const known = receipt.eventIds.flatMap((id) => events.get(id) ?? []);
      const event = furthest(known.filter((it) => it.roomKey === room.roomKey));
      if (!event) {
        if (known.length === 0) early.push(receipt);
        return;
      }
      const common = { userKey, userId, local: false, type: "m.read", ts } as const;
      await write(hs, receiptsStream, { ...common, thread, event });
    }),
  );
  return early;
}

type PlacedEvent = StoredEvent & { readonly anchor: number };

function furthest(events: readonly StoredEvent[]): PlacedEvent | undefined {
  const placed = events.filter((it): it is PlacedEvent => it.anchor !== undefined);
  return placed.toSorted((a, b) => b.anchor - a.anchor || b.anchorOffset - a.anchorOffset)[0];
}
