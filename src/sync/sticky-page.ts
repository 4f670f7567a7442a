import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Standing } from "#src/rooms/memberships.ts";
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
  question: StickyQuestion,
): Promise<{ told: readonly ToldSticky[]; left: StickyPlace | undefined }> {
  const byRoom = await stickyIn(hs, question.rooms.keys());
  if (byRoom.size === 0) return { told: [], left: undefined };
  const { ignored, limit, since = 0, resumeSticky } = question;
  const after = resumeSticky?.after ?? since;
  const its = await stillToTell(hs, byRoom, { ...question, after });
  return await firstTold(hs, its, { ignored, limit, after });
}

/** All of which the client is to be told, in their order. */
async function stillToTell(
  hs: Homeserver,
  byRoom: ReadonlyMap<number, readonly Sticky[]>,
  { rooms, since, after, resumeSticky, upTo }: StickyQuestion & { readonly after: Position },
): Promise<Sticky[]> {
  const wanted: Sticky[] = [];
  let told = resumeSticky?.told ?? 0;
  for (const [roomKey, its] of byRoom) {
    const standing = rooms.get(roomKey);
    if (standing?.membership !== "join") continue;
    if (resumeSticky && (await isComeTo(hs, standing, since))) told = 0;
    const from = (await isComeTo(hs, standing, after)) ? 0 : after;
    wanted.push(...its.filter(({ toldAt }) => toldAt > from && toldAt <= upTo));
  }
  return wanted.filter((it) => it.toldAt > told).toSorted((a, b) => a.toldAt - b.toldAt);
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

/** Whether the user has come to a room after a position, if there is one. */
async function isComeTo(
  hs: Homeserver,
  standing: Standing,
  position: Position | undefined,
): Promise<boolean> {
  if (!position || standing.position <= position) return false;
  return !(await wasJoined(hs, standing, position));
}
