import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { type Reader, renderEvents } from "#src/rooms/render-events.ts";
import { type Sticky, stickyIn } from "#src/rooms/sticky/sticky-events.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import type { Sections } from "./read-sections.ts";
import { isIgnored, type Timeline } from "./room-timelines.ts";

/** The name on the wire of what is told of a room's sticky events (MSC4354). */
export const STICKY_SECTION = "msc4354_sticky";

/** Who is to be told of sticky events, and what they are told of anyway. */
type Question = {
  readonly requester: Reader;
  /** All of the user's rooms that they are to be told of. */
  readonly rooms: UserRooms;
  /** Those of which the client knows nothing yet. */
  readonly newRooms: ReadonlySet<number>;
  readonly ignored: ReadonlySet<string>;
  readonly timelines: ReadonlyMap<number, Timeline>;
  readonly since: Position | undefined;
  readonly upTo: Position;
};

/** A sticky event that a reader is to be told of. */
export type ToldSticky = { readonly sticky: Sticky; readonly event: StoredEvent };

/**
 * Adds to what sections tell of rooms the sticky events of which the client has not been told, and is not by the
 * timelines: whatever else has happened since, however the history is visible. Where there are none this costs nothing.
 */
export async function withSticky(
  hs: Homeserver,
  sections: Sections,
  { since, upTo, newRooms, timelines, ...question }: Question,
): Promise<Sections> {
  const all = await findSticky(hs, question, ({ roomKey, toldAt }) => {
    if (toldAt > upTo) return false;
    return since === undefined || newRooms.has(roomKey) || toldAt > since;
  });
  const found = notInTimelines(all, timelines);
  if (found.length === 0) return sections;
  const { requester, rooms: standings } = question;
  const objects = await stickyObjects(hs, requester, found, standings);
  const rooms = new Map(sections.rooms);
  for (const [roomKey, events] of Map.groupBy(objects, ([it]) => it.sticky.roomKey)) {
    const part = rooms.get(roomKey);
    const told = { events: events.map(([, object]) => object) };
    rooms.set(roomKey, { ...part, other: { ...part?.other, [STICKY_SECTION]: told } });
  }
  return { ...sections, rooms };
}

/** The sticky events of a user's rooms of which something holds. */
export async function findSticky(
  hs: Homeserver,
  { rooms, ignored }: Pick<Question, "rooms" | "ignored">,
  isWanted: (sticky: Sticky) => boolean,
): Promise<ToldSticky[]> {
  const byRoom = await stickyIn(hs, rooms.keys());
  const wanted = [...byRoom]
    .filter(([roomKey]) => rooms.get(roomKey)?.membership === "join")
    .flatMap(([, its]) => its.filter(isWanted));
  if (wanted.length === 0) return [];
  const events = await eventsOf(
    hs,
    wanted.map((it) => it.eventKey),
  );
  return wanted.flatMap((sticky) => {
    const event = events.get(sticky.eventKey);
    if (!event || event.redactedBy !== undefined || isIgnored(event, ignored)) return [];
    return [{ sticky, event }];
  });
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
