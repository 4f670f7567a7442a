import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { Transaction } from "#src/rooms/room-write.ts";
import { stickyIn } from "#src/rooms/sticky/sticky-events.ts";

/** How many events of a user may be sticky at a time in a room, all of which everybody there is told of. */
const MOST = 100;

/**
 * Refuses one sticky event too many; but not the same request made again, which its transaction ID tells.
 *
 * @throws MatrixError M_LIMIT_EXCEEDED if a user has as many sticky events in a room as they may, and wants another.
 */
export async function requireFewSticky(
  hs: Homeserver,
  { userKey }: Requester,
  { roomKey }: Room,
  {
    stickyMs,
    transaction,
  }: { readonly stickyMs: number | undefined; readonly transaction: Transaction | undefined },
): Promise<void> {
  if (stickyMs === undefined) return;
  const all = (await stickyIn(hs, [roomKey])).get(roomKey) ?? [];
  const own = all.filter((it) => it.senderKey === userKey);
  if (own.length < MOST) return;
  const known = await eventsOf(
    hs,
    own.map((it) => it.eventKey),
  );
  for (const { deviceKey, txnId } of known.values()) {
    if (transaction?.deviceKey === deviceKey && transaction?.txnId === txnId) return;
  }
  const nextMs = Math.min(...own.map((it) => it.untilMs));
  throw new MatrixError("M_LIMIT_EXCEEDED", `You have ${MOST} sticky events in this room`, {
    fields: { retry_after_ms: Math.max(1_000, nextMs - hs.now()) },
  });
}
