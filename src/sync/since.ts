import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { tailOf } from "#src/streams/tail.ts";
import { cutOf, placeOf, stickyPlaceOf } from "#src/timeline/token.ts";
import type { SyncRequest } from "./sync-request.ts";

/** Before all that has happened: what is told of after it is all there is, and what has ended meanwhile. */
export const BEFORE_ALL: Position = 0;

/**
 * Up to where a client knows everything, by its token.
 *
 * @returns without `since` if the token is of a time that this server has not come to: its database is that of an earlier
 *   day. What was told then is not known any more, and what has been said since then instead the client does not know.
 * @throws MatrixError M_INVALID_PARAM
 */
export async function sinceOf(
  hs: Homeserver,
  token: string,
): Promise<Pick<SyncRequest, "since" | "resumeAfter" | "resumeSticky">> {
  const { anchor, offset } = placeOf(token);
  // A place before an event leaves that event to be told.
  const since = offset < 0 ? anchor - 1 : anchor;
  if (!(await tailOf(hs).hasReached(since))) return { since: undefined };
  return { since, resumeAfter: cutOf(token), resumeSticky: stickyPlaceOf(token) };
}
