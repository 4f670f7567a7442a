import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { type Sticky, stickyIn } from "#src/rooms/sticky/sticky-events.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import type { StickyPlace } from "#src/timeline/token.ts";
import { wasJoined } from "./changed-rooms.ts";
import { isIgnored } from "./room-timelines.ts";

/** Who is to be told of sticky events, and of which they have been. */
export type StickyQuestion = {
  /** All of the user's rooms that they are to be told of. */
  readonly rooms: UserRooms;
  readonly ignored: ReadonlySet<string>;
  readonly since: Position | undefined;
  /** How far they have come, if they were not told of all that there was. */
  readonly resumeSticky: StickyPlace | undefined;
  readonly upTo: Position;
  readonly limit: number;
};

/** A sticky event that a reader is to be told of. */
export type ToldSticky = { readonly sticky: Sticky; readonly event: StoredEvent };

/**
 * The next of the sticky events of which a client has not been told: those that are news, and all of the rooms that the
 * user has come to. Where they come to another room while they have not been told of all, it begins again.
 *
 * @returns how far it goes, if there are more.
 */
export async function stickyPage(
  hs: Homeserver,
  { rooms, ignored, since, resumeSticky, upTo, limit }: StickyQuestion,
): Promise<{ told: readonly ToldSticky[]; left: StickyPlace | undefined }> {
  const joined = [...rooms].filter(([, it]) => it.membership === "join");
  const byRoom = await stickyIn(
    hs,
    joined.map(([roomKey]) => roomKey),
  );
  if (byRoom.size === 0) return { told: [], left: undefined };
  const after = resumeSticky?.after ?? since ?? 0;
  const isNew = async (roomKey: number, position: Position | undefined) =>
    position !== undefined && (await isComeTo(hs, rooms, roomKey, position));
  const wanted: Sticky[] = [];
  let told = resumeSticky?.told ?? 0;
  for (const [roomKey, its] of byRoom) {
    if (resumeSticky && (await isNew(roomKey, since))) told = 0;
    const from = after > 0 && (await isNew(roomKey, after)) ? 0 : after;
    wanted.push(...its.filter(({ toldAt }) => toldAt > from && toldAt <= upTo));
  }
  const inOrder = wanted.filter((it) => it.toldAt > told).toSorted((a, b) => a.toldAt - b.toldAt);
  return await firstTold(hs, inOrder, { ignored, limit, after });
}

/** The first of them that are told: neither what was redacted, nor what is of those whom the user ignores. */
async function firstTold(
  hs: Homeserver,
  its: readonly Sticky[],
  {
    ignored,
    limit,
    after,
  }: Pick<StickyQuestion, "ignored" | "limit"> & { readonly after: Position },
): Promise<{ told: readonly ToldSticky[]; left: StickyPlace | undefined }> {
  for (let from = 0; from < its.length; from += limit) {
    const page = its.slice(from, from + limit);
    const events = await eventsOf(
      hs,
      page.map((it) => it.eventKey),
    );
    const told = page.flatMap((sticky) => {
      const event = events.get(sticky.eventKey);
      if (!event || event.redactedBy !== undefined || isIgnored(event, ignored)) return [];
      return [{ sticky, event }];
    });
    const last = page.at(-1);
    const left = last && from + limit < its.length ? { after, told: last.toldAt } : undefined;
    if (told.length > 0) return { told, left };
  }
  return { told: [], left: undefined };
}

/** Whether the user has come to a room after a position. */
async function isComeTo(
  hs: Homeserver,
  rooms: UserRooms,
  roomKey: number,
  position: Position,
): Promise<boolean> {
  const standing = rooms.get(roomKey);
  if (!standing || standing.position <= position) return false;
  return !(await wasJoined(hs, standing, position));
}
