import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "../find-event.ts";
import { noteEarlierRemovals } from "../mass-redaction/queries-sender-redactions.ts";
import { asksToRedact, mayRedact } from "../mass-redaction/removal.ts";
import type { MembershipRow } from "../queries-persist.ts";
import type { PlacedReceived } from "./place-received.ts";

/**
 * Notes who had been removed from a room, in such a way that what they sent is redacted, before its members were known here:
 * so that what of it comes now, as the room's past, is redacted.
 */
export async function noteRemovedBefore(
  hs: Homeserver,
  lane: Tx,
  { placed }: PlacedReceived,
  members: readonly MembershipRow[],
): Promise<void> {
  const levels = placed.map((it) => it.settled.assessed.levels).find((it) => it !== undefined);
  const out = members.filter((it) => it.membership === "leave" || it.membership === "ban");
  if (!levels || out.length === 0) return;
  const events = await eventsOf(
    hs,
    out.map((it) => it.eventKey),
    lane,
  );
  const removals = out.filter(({ eventKey }) => {
    const event = events.get(eventKey);
    if (!event || event.redactedBy !== undefined || event.stateKey === undefined) return false;
    const { type, stateKey: state_key, sender, content } = event;
    return asksToRedact({ type, state_key, sender, content }) && mayRedact(levels, sender);
  });
  if (removals.length > 0) noteEarlierRemovals(lane, removals);
}
