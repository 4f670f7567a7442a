import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type EventId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import { EventStatus } from "../stored-event.ts";
import type { PlacedEvent, PlacedReceived } from "./place-received.ts";
import { isShown, redactionOf } from "./rows-of-placed.ts";

/**
 * Keeps redactions from clients, which believe them, that redact nothing: what they are about is not here, or of another
 * room, or their sender may not. Should it come, `applyWaitingRedactions` looks at them anew.
 *
 * @spec rooms/v3#handling-redactions
 */
export async function withUntold(
  hs: Homeserver,
  lane: Tx,
  it: PlacedReceived,
): Promise<PlacedReceived> {
  const redactions = it.placed.filter(isToBeSeen);
  if (redactions.length === 0) return it;
  const own = new Map(it.placed.map(({ row }) => [row.event_id, row]));
  const targets = redactions.flatMap((its) => redactionOf(its)?.target ?? []);
  const stored = await findEvents(
    hs,
    targets.filter((id) => !own.has(id)),
    lane,
  );
  const untold = new Set(redactions.filter((its) => !isInEffect(its)));
  if (untold.size === 0) return it;
  const placed = it.placed.map((its) =>
    untold.has(its) ? { ...its, row: { ...its.row, status: EventStatus.untold } } : its,
  );
  return { ...it, placed };

  function isInEffect(redaction: PlacedEvent): boolean {
    const row = redactionOf(redaction);
    const sender = row && senderOf(row.target, row.roomKey);
    return sender !== undefined && (row?.anyone || serverNameOf(sender) === row?.domain);
  }

  /** Who sent an event of a room that may be redacted. */
  function senderOf(target: EventId, roomKey: number): UserId | undefined {
    const row = own.get(target);
    if (row) return row.status === EventStatus.rejected ? undefined : row.sender;
    const event = stored.get(target);
    const isOfRoom = event?.roomKey === roomKey && event.status !== EventStatus.rejected;
    return isOfRoom ? event.sender : undefined;
  }
}

function isToBeSeen(it: PlacedEvent): boolean {
  const { type, state_key } = it.settled.assessed.event;
  return type === "m.room.redaction" && state_key === undefined && isShown(it);
}
