import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { tailOf } from "#src/streams/tail.ts";
import { dequeue, queuedMessages } from "./queries-to-device.ts";
import { TO_DEVICE } from "./to-device-stream.ts";

/** The most messages that a device is told at once. */
const MOST_MESSAGES = 100;

/** A message as the device gets it. */
export type ToDeviceEvent = {
  readonly sender: UserId;
  readonly type: string;
  readonly content: object;
};

/**
 * The oldest messages in a device's queue, of those in a range of positions.
 *
 * @returns the messages; and, if there are more, `cutAt`, a position up to which all are told.
 */
export async function readQueue(
  hs: Homeserver,
  deviceKey: number,
  {
    after,
    upTo,
    limit = MOST_MESSAGES,
  }: { readonly after: Position; readonly upTo: Position; readonly limit?: number },
): Promise<{ events: readonly ToDeviceEvent[]; cutAt?: Position }> {
  const most = Math.min(Math.max(limit, 1), MOST_MESSAGES);
  // A write brings a device one message, or two: those of a position are told together.
  const rows = await queuedMessages(hs.sql, deviceKey, { after, upTo, limit: most + 2 });
  const next = rows[most];
  const before = next ? rows.filter((it) => it.position < next.position) : rows;
  const told = before.length > 0 ? before : rows.filter((it) => it.position === next?.position);
  const events = told.map(({ sender, type, content }) => ({
    sender,
    type,
    content: JSON.parse(content) as object,
  }));
  const cutAt = rows.length > told.length ? told.at(-1)?.position : undefined;
  return cutAt === undefined ? { events } : { events, cutAt };
}

/** What is known of a device's queue: the oldest message in it, or, if it is empty, nothing. */
type Known = { oldest: Position | undefined };

const knownOf = held((hs) => {
  const known = lru<number, Known>(100_000);
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, deviceKey, position } of changes) {
        if (stream !== TO_DEVICE || deviceKey === undefined) continue;
        const queue = known.peek(deviceKey);
        if (queue) queue.oldest ??= position;
      }
    },
    missed: () => known.clear(),
  });
  return known;
});

/**
 * Takes note that a device has got all messages up to a position, by deleting them. To be called at
 * each sync of the device: it costs a query only if there may be something to delete.
 *
 * @spec client-server-api#send-to-device-messaging
 */
export async function acknowledgeToDevice(
  hs: Homeserver,
  deviceKey: number,
  upTo: Position,
): Promise<void> {
  // A position that this process has not heard of may be no position of ours at all.
  if (upTo > tailOf(hs).position) return;
  const known = knownOf(hs);
  const before = known.get(deviceKey);
  if (before && (before.oldest === undefined || before.oldest > upTo)) return;
  // It is known from before the query is made, so that what comes while it runs is not overlooked.
  const queue: Known = { oldest: undefined };
  known.set(deviceKey, queue);
  try {
    const oldest = await dequeue(hs.sql, deviceKey, upTo);
    if (oldest !== undefined) queue.oldest = Math.min(oldest, queue.oldest ?? oldest);
  } catch (error) {
    if (known.peek(deviceKey) === queue) known.delete(deviceKey);
    throw error;
  }
}
