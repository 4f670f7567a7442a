import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { stickyRooms } from "#src/rooms/sticky/sticky-events.ts";
import { sinceOf } from "#src/sync/since.ts";
import { MOST_STICKY, notInTimelines, stickyObjects } from "#src/sync/sticky-events.ts";
import { stickyPage } from "#src/sync/sticky-page.ts";
import { syncTokenOf } from "#src/timeline/token.ts";
import type { Around, Extension } from "./extension.ts";

/**
 * MSC4480: sticky events of the rooms that the client is interested in, the oldest first, which it acknowledges by a token
 * of their own.
 */
export async function stickyEventsExtension(
  hs: Homeserver,
  around: Around,
): Promise<Extension | undefined> {
  const { request, userRooms, interesting, timelines, ignored, upTo, roomIds } = around;
  const asked = request.extensions["org.matrix.msc4354.sticky_events"];
  if (!asked?.enabled) return undefined;
  const { since, resumeSticky } =
    asked.since === undefined
      ? { since: undefined, resumeSticky: undefined }
      : await sinceOf(hs, asked.since);
  const sticky = await stickyRooms(hs);
  if (sticky.size === 0) return undefined;
  const rooms = new Map([...userRooms].filter(([it]) => interesting.has(it) && sticky.has(it)));
  const limit = Math.min(asked.limit ?? MOST_STICKY, MOST_STICKY);
  const page = { rooms, ignored, since, resumeSticky, upTo, limit };
  const { told, left } = await stickyPage(hs, page);
  if (told.length === 0) return undefined;
  // What the timelines tell is acknowledged with the rest.
  const untold = notInTimelines(told, timelines);
  const objects = await stickyObjects(hs, request.requester, untold, userRooms);
  const byRoom = [...Map.groupBy(objects, ([it]) => it.event.roomKey)];
  const events = byRoom.map(([roomKey, its]) => [
    roomIds.get(roomKey) ?? "",
    { events: its.map(([, object]) => object) },
  ]);
  const next_batch = syncTokenOf(upTo, undefined, left);
  return { value: { next_batch, rooms: Object.fromEntries(events) }, isNews: true };
}
