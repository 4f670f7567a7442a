import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";
import { cutOf, placeOf, stickyPlaceOf } from "#src/timeline/token.ts";
import type { SyncRequest } from "./sync-request.ts";

/**
 * Up to where a client knows everything, by its token.
 *
 * @throws MatrixError M_INVALID_PARAM
 */
export async function sinceOf(
  hs: Homeserver,
  token: string,
): Promise<Pick<SyncRequest, "since" | "resumeAfter" | "resumeSticky">> {
  const { anchor, offset } = placeOf(token);
  // A place before an event leaves that event to be told.
  const since = offset < 0 ? anchor - 1 : anchor;
  // It may have been given out by another process, which this one has not caught up with.
  if (since > tailOf(hs).position) await tailOf(hs).catchUp();
  return { since, resumeAfter: cutOf(token), resumeSticky: stickyPlaceOf(token) };
}
