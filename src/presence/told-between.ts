import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import { contentOf } from "./presence.ts";
import { presenceBetween } from "./queries-presence.ts";
import { smallRooms } from "./small-rooms.ts";

/**
 * Those of some users who share a room with whom is to be told, of the rooms that are let through: presence is not
 * shared in large ones.
 */
export type Sharing = (
  userKeys: readonly number[],
  among: (roomKeys: ReadonlySet<number>) => Promise<ReadonlySet<number>>,
) => Promise<ReadonlySet<number>>;

/**
 * Whose presence became news in a range of positions, as events.
 *
 * @spec client-server-api#presence
 */
export async function presenceEventsBetween(
  hs: Homeserver,
  { after, upTo }: { readonly after: Position; readonly upTo: Position },
  sharing: Sharing,
): Promise<object[]> {
  if (!hs.config.presence.enabled) return [];
  const all = await presenceBetween(hs.sql, after, upTo);
  const userKeys = all.map((it) => it.userKey);
  const shown = await sharing(userKeys, async (rooms) => await smallRooms(hs, rooms));
  const userIds = await userIdsOf(hs, shown);
  const now = hs.now();
  return all.flatMap((it) => {
    const sender = userIds.get(it.userKey);
    return sender === undefined
      ? []
      : [{ type: "m.presence", sender, content: contentOf(it, now) }];
  });
}
