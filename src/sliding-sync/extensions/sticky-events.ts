import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { stickyRooms } from "#src/rooms/sticky/sticky-events.ts";
import { wasJoined } from "#src/sync/changed-rooms.ts";
import { sinceOf } from "#src/sync/since.ts";
import {
  findSticky,
  notInTimelines,
  stickyObjects,
  type ToldSticky,
} from "#src/sync/sticky-events.ts";
import { tokenOf } from "#src/timeline/token.ts";
import type { Around, Extension } from "./extension.ts";

const MOST = 100;

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
  const { since } =
    asked.since === undefined ? { since: undefined } : await sinceOf(hs, asked.since);
  const sticky = await stickyRooms(hs);
  if (sticky.size === 0) return undefined;
  const rooms = new Map([...userRooms].filter(([it]) => interesting.has(it) && sticky.has(it)));
  const joins = await joinsAfter(hs, around, rooms.keys(), since);
  const news = ({ sticky: { roomKey, toldAt } }: ToldSticky) =>
    Math.max(toldAt, joins.get(roomKey) ?? 0);
  const found = await findSticky(hs, { rooms, ignored }, ({ roomKey, toldAt }) => {
    if (toldAt > upTo) return false;
    return since === undefined || toldAt > since || joins.has(roomKey);
  });
  if (found.length === 0) return undefined;
  const inOrder = found.toSorted((a, b) => news(a) - news(b));
  const limit = Math.min(asked.limit ?? MOST, MOST);
  const last = inOrder.at(limit - 1);
  // All that became news at once is told at once: a token can only name the whole of it.
  const end = last && inOrder.length > limit ? news(last) : upTo;
  // What the timelines tell is acknowledged with the rest.
  const told = notInTimelines(inOrder, timelines).filter((it) => news(it) <= end);
  const objects = await stickyObjects(hs, request.requester, told, userRooms);
  const byRoom = [...Map.groupBy(objects, ([it]) => it.event.roomKey)];
  const events = byRoom.map(([roomKey, its]) => [
    roomIds.get(roomKey) ?? "",
    { events: its.map(([, object]) => object) },
  ]);
  const next_batch = tokenOf({ anchor: end, offset: 0 });
  return { value: { next_batch, rooms: Object.fromEntries(events) }, isNews: true };
}

/** When the user came to rooms in which they were not at a position. */
async function joinsAfter(
  hs: Homeserver,
  { userRooms, upTo }: Around,
  roomKeys: Iterable<number>,
  since: Position | undefined,
): Promise<ReadonlyMap<number, Position>> {
  const joins = new Map<number, Position>();
  if (since === undefined) return joins;
  for (const roomKey of roomKeys) {
    const standing = userRooms.get(roomKey);
    if (standing?.membership !== "join" || standing.position <= since) continue;
    if (standing.position > upTo || (await wasJoined(hs, standing, since))) continue;
    joins.set(roomKey, standing.position);
  }
  return joins;
}
