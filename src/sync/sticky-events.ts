import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type Reader, renderEvents } from "#src/rooms/render-events.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import type { Sections } from "./read-sections.ts";
import type { Timeline } from "./room-timelines.ts";
import { stickyPage, type StickyQuestion, type ToldSticky } from "./sticky-page.ts";

/** The name on the wire of what is told of a room's sticky events (MSC4354). */
export const STICKY_SECTION = "msc4354_sticky";

/** Of how many a client is told at once. */
export const MOST_STICKY = 100;

/** Who is to be told of sticky events, and what they are told of anyway. */
type Question = Omit<StickyQuestion, "limit"> & {
  readonly requester: Reader;
  readonly timelines: ReadonlyMap<number, Timeline>;
};

/**
 * Adds to what sections tell of rooms the sticky events of which the client has not been told, and is not by the
 * timelines: whatever else has happened since, however the history is visible. What is too much at once comes with the
 * next answers. Where there are none this costs nothing.
 */
export async function withSticky(
  hs: Homeserver,
  sections: Sections,
  { requester, timelines, ...question }: Question,
): Promise<Sections> {
  const { told, left } = await stickyPage(hs, { ...question, limit: MOST_STICKY });
  const found = notInTimelines(told, timelines);
  if (found.length === 0) return { ...sections, stickyLeft: left };
  const objects = await stickyObjects(hs, requester, found, question.rooms);
  const rooms = new Map(sections.rooms);
  for (const [roomKey, events] of Map.groupBy(objects, ([it]) => it.sticky.roomKey)) {
    const part = rooms.get(roomKey);
    const its = { events: events.map(([, object]) => object) };
    rooms.set(roomKey, { ...part, other: { ...part?.other, [STICKY_SECTION]: its } });
  }
  return { ...sections, rooms, stickyLeft: left };
}

/** Those that timelines do not tell of. */
export function notInTimelines(
  its: readonly ToldSticky[],
  timelines: ReadonlyMap<number, Timeline>,
): ToldSticky[] {
  return its.filter(
    ({ event: { roomKey, eventKey } }) =>
      !timelines.get(roomKey)?.events.some((it) => it.eventKey === eventKey),
  );
}

/** What is told of them. */
export async function stickyObjects(
  hs: Homeserver,
  reader: Reader,
  its: readonly ToldSticky[],
  standings: UserRooms,
): Promise<(readonly [ToldSticky, object])[]> {
  const texts = await renderEvents(
    hs,
    its.map((it) => it.event),
    reader,
    { roomId: false, standings },
  );
  return its.map((it, index) => [it, JSON.parse(texts[index] ?? "{}") as object] as const);
}
