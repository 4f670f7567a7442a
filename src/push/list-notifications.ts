import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Requester } from "#src/kit/requester.ts";
import { readersMemberships } from "#src/rooms/readers-memberships.ts";
import { renderEvents } from "#src/rooms/render-events.ts";
import { type Noted, notableEvents } from "./notable-events.ts";
import { newestInRoomsOf } from "./queries-unread.ts";

/** The events that are looked at together, and how often that is done for one answer. */
const MOST_EVENTS = 100;
const MOST_LOOKS = 10;

export type NotificationsPage = {
  /** JSON texts. */
  readonly notifications: readonly string[];
  /** Where older ones begin; undefined if there are none. */
  readonly next: Position | undefined;
};

/**
 * What a user has been told of, or would have been had somebody been there to tell, the newest first. Nothing
 * is stored for it: the user's rules, as they are now, are tried on what is in the user's rooms.
 *
 * @param before where to go on.
 * @spec client-server-api#get_matrixclientv3notifications
 */
export async function listNotifications(
  hs: Homeserver,
  requester: Requester,
  asked: {
    readonly before?: Position | undefined;
    readonly limit: number;
    readonly onlyHighlights: boolean;
  },
): Promise<NotificationsPage> {
  const found: Noted[] = [];
  let next = asked.before;
  for (let looks = 0; looks < MOST_LOOKS && found.length < asked.limit; looks++) {
    const newest = await newestInRoomsOf(hs.sql, requester.userKey, {
      before: next,
      most: MOST_EVENTS,
    });
    const noted = await notableEvents(hs, requester, newest);
    const wanted = noted.filter((it) => it.highlight || !asked.onlyHighlights);
    found.push(...(await whileThere(hs, requester, wanted)));
    next = newest.length < MOST_EVENTS ? undefined : newest.at(-1)?.position;
    if (next === undefined) break;
  }
  const page = found.slice(0, asked.limit);
  const last = page.at(-1)?.event.anchor;
  return {
    notifications: await textsOf(hs, requester, page),
    next: found.length > page.length ? last : next,
  };
}

/** Nobody was told of what was said before they came, or of what they were not to see. */
async function whileThere(
  hs: Homeserver,
  requester: Requester,
  noted: readonly Noted[],
): Promise<Noted[]> {
  const memberships = await readersMemberships(
    hs,
    noted.map((it) => it.event),
    requester,
  );
  return noted.filter(({ event }) => {
    const isInvitation = event.stateKey === requester.userId && event.type === "m.room.member";
    const membership = memberships.get(event);
    return membership === "join" || (membership === "invite" && isInvitation);
  });
}

async function textsOf(
  hs: Homeserver,
  requester: Requester,
  page: readonly Noted[],
): Promise<string[]> {
  const events = page.map((it) => it.event);
  const texts = await renderEvents(hs, events, requester, { roomId: false });
  return page.map(({ actions, isRead, roomId, event }, index) => {
    const its = { actions, read: isRead, room_id: roomId, ts: event.originServerTs };
    return `${JSON.stringify(its).slice(0, -1)},"event":${texts[index]}}`;
  });
}
