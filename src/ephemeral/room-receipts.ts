import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { receiptEvent } from "./ephemeral-events.ts";
import { knownReceipts } from "./known-receipts.ts";
import { receiptsAsked, type ReceiptsAsked } from "./queries-receipts.ts";

/** The `m.receipt` events of rooms, by room key, with those receipts that are asked for; none where there are none. */
export async function roomReceipts(
  hs: Homeserver,
  reader: Pick<Requester, "userId" | "userKey">,
  asked: readonly ReceiptsAsked[],
): Promise<ReadonlyMap<number, object>> {
  if (asked.length === 0) return new Map();
  const found = await receiptsAsked(hs.sql, reader.userKey, asked);
  const receipts = await knownReceipts(hs, reader, found);
  const byRoom = Map.groupBy(receipts, (it) => it.roomKey);
  return new Map([...byRoom].map(([roomKey, its]) => [roomKey, receiptEvent(its)]));
}
