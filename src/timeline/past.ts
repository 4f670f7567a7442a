import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { fetchPast } from "#src/rooms/holes/fetch-past.ts";
import { newestHole } from "#src/rooms/holes/newest-hole.ts";
import type { Place } from "./token.ts";

/** How long a reader waits for other servers, and how many pages of theirs are asked for meanwhile. */
const MOST_WAITING_MS = 10_000;
const MOST_PAGES = 3;

/** A part of a room's order, read backwards. */
type Stretch = { readonly from: Place | undefined; readonly to: Place | undefined };

/** What a room has that we have not, for somebody who reads backwards. */
export type Past = {
  /**
   * Fetches what is missing in a stretch, where that is met first.
   *
   * @returns whether there is more in the stretch than before; and where it still lacks something, if it does: the key
   *   of the event that stands just after that.
   */
  fetchInto(
    stretch: Stretch,
  ): Promise<{ readonly hasMore: boolean; readonly hole: number | undefined }>;
};

/** For one page: there is an end to the waiting. */
export function pastOf(hs: Homeserver, room: Room): Past {
  let pages = 0;
  let until: AbortSignal | undefined;
  return {
    async fetchInto(stretch) {
      const hole = await newestHole(hs.sql, room.roomKey, stretch);
      if (hole === undefined) return { hasMore: false, hole };
      if (pages++ >= MOST_PAGES) return { hasMore: false, hole };
      until ??= AbortSignal.timeout(MOST_WAITING_MS);
      return { hasMore: await fetchPast(hs, room, hole, until), hole };
    },
  };
}
