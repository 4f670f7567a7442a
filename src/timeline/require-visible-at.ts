import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { pageBackwards, pageForwards } from "./queries-timeline.ts";
import type { Place } from "./token.ts";
import type { RoomView } from "./view-of-room.ts";
import { visibleEvents } from "./visible-events.ts";

/**
 * Refuses to show what a room was like at a place in its order to who may not see what was last there by then; before
 * its first event, that.
 *
 * @throws MatrixError M_FORBIDDEN
 * @spec client-server-api#room-history-visibility
 */
export async function requireVisibleAt(
  hs: Homeserver,
  requester: Requester,
  { room: { roomKey }, standing }: RoomView,
  place: Place,
): Promise<void> {
  // Whoever is in the room since before then sees its state, whatever another fork holds that has come among that.
  if (standing?.membership === "join" && standing.position <= place.anchor) return;
  const all = { from: undefined, to: undefined, limit: 1 };
  const [before] = await pageBackwards(hs.sql, roomKey, { ...all, from: place });
  const [row] = before ? [before] : await pageForwards(hs.sql, roomKey, all);
  const events = [...(await eventsOf(hs, row ? [row.event_key] : [])).values()];
  const seen = await visibleEvents(hs, requester, events, standing);
  if (seen.length === events.length) return;
  throw new MatrixError("M_FORBIDDEN", "You may not see what the room was like then");
}
