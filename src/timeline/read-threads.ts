import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import { relationOf } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findEvents } from "#src/rooms/find-event.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { threadRows } from "./queries-relations.ts";
import { type Place, placeBefore } from "./token.ts";
import type { RoomView } from "./view-of-room.ts";
import { visibleEvents } from "./visible-events.ts";

/** How often more is read, where the reader may not see all that was. */
const MOST_READINGS = 5;

export type ThreadsRequest = {
  readonly participated: boolean;
  readonly from: Place | undefined;
  readonly limit: number;
};

/**
 * One page of the roots of a room's threads, that of the thread in which something was said last first.
 *
 * @returns also where the next page begins, if there is one, and whom the user ignores.
 * @spec client-server-api#get_matrixclientv1roomsroomidthreads
 */
export async function readThreads(
  hs: Homeserver,
  requester: Requester,
  { room, standing, until }: RoomView,
  { participated, from: start, limit }: ThreadsRequest,
): Promise<{
  readonly roots: readonly StoredEvent[];
  readonly next: Place | undefined;
  readonly ignored: ReadonlySet<string>;
}> {
  const ignored = await ignoredUsersOf(hs, requester.userKey);
  const not = [...(await findUserKeys(hs, [...ignored] as UserId[])).values()];
  const withUser = participated ? requester.userKey : undefined;
  const roots: StoredEvent[] = [];
  const end = until === undefined ? undefined : endOf(until);
  let from = end === undefined || (start && start.anchor < end.anchor) ? start : end;
  for (let readings = 0; readings < MOST_READINGS && roots.length < limit; readings++) {
    const size = limit - roots.length;
    const query = { roomKey: room.roomKey, from, until: end, limit: size + 1, not, withUser };
    const rows = await threadRows(hs.sql, query);
    const page = rows.slice(0, size);
    const events = await findEvents(
      hs,
      page.map((it) => it.root),
    );
    const found = page.flatMap((it) => events.get(it.root) ?? []);
    const own = found.filter((it) => it.roomKey === room.roomKey && isRoot(it));
    roots.push(...(await visibleEvents(hs, requester, own, standing)));
    const last = page.at(-1);
    if (!last || rows.length <= size) return { roots, next: undefined, ignored };
    from = placeBefore(last.anchor, last.anchor_offset);
  }
  return { roots, next: from, ignored };
}

/** Where somebody who has left ends. */
function endOf(until: number): Place {
  return { anchor: until, offset: 0 };
}

/** What relates to another event is the root of no thread. @spec client-server-api#validation-of-mthread-relationships */
function isRoot(event: StoredEvent): boolean {
  return event.redactedBy !== undefined || relationOf(event.content) === undefined;
}
