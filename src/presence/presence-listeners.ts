import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { tailOf } from "#src/streams/tail.ts";
import { PRESENCE } from "./presence-stream.ts";
import type { Presence } from "./presence.ts";
import { roomsOfUsers } from "./queries-presence.ts";
import { smallRooms } from "./small-rooms.ts";

/** How often those who wait for news are told of others' presence. The first after a calm is told at once. */
const TELL_MS = 5_000;

/**
 * Tells of rooms in which somebody's presence has become news: of many together, so that a room full of
 * people who come and go wakes nobody more often than each few seconds.
 */
export function listenToPresence(
  hs: Homeserver,
  tell: (roomKeys: readonly number[]) => void,
): void {
  let toldAtMs = 0;
  let timer: NodeJS.Timeout | undefined;
  const users = new Set<number>();
  const tellAll = async () => {
    timer = undefined;
    toldAtMs = hs.now();
    const userKeys = [...users];
    users.clear();
    try {
      tell([...(await smallRooms(hs, await roomsOfUsers(hs.sql, userKeys)))]);
    } catch (error) {
      // They hear of it with whatever is news next.
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot tell of presence");
    }
  };
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, detail } of changes) {
        if (stream === PRESENCE) users.add((detail as Presence).userKey);
      }
      if (users.size === 0) return;
      timer ??= setTimeout(() => void tellAll(), Math.max(0, toldAtMs + TELL_MS - hs.now()));
    },
    missed: () => {},
  });
  hs.stopping.addEventListener("abort", () => clearTimeout(timer));
}
