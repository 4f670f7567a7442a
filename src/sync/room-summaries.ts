import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { memberCounts } from "#src/rooms/memberships.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";

export type RoomSummary = {
  readonly "m.heroes"?: readonly string[];
  readonly "m.joined_member_count": number;
  readonly "m.invited_member_count": number;
};

/** How many members stand for a room that has no name. */
const MOST_HEROES = 5;

/**
 * What lets a client name rooms without knowing all of their members, by room key.
 *
 * @param named the rooms that have a name or a canonical alias: they need no heroes.
 * @spec client-server-api#get_matrixclientv3sync
 */
export async function roomSummaries(
  hs: Homeserver,
  userKey: number,
  roomKeys: readonly number[],
  named: ReadonlySet<number>,
): Promise<Map<number, RoomSummary>> {
  if (roomKeys.length === 0) return new Map();
  const [counts, heroes] = await Promise.all([
    memberCounts(hs, roomKeys),
    heroesOf(
      hs,
      userKey,
      roomKeys.filter((it) => !named.has(it)),
    ),
  ]);
  return new Map(
    roomKeys.map((roomKey) => {
      const count = counts.get(roomKey);
      const own = heroes.get(roomKey);
      return [
        roomKey,
        {
          ...(own && { "m.heroes": own }),
          "m.joined_member_count": count?.joined ?? 0,
          "m.invited_member_count": count?.invited ?? 0,
        },
      ];
    }),
  );
}

/** The members, but for the user, who came first; or, where there is nobody else, those who have left. */
async function heroesOf(
  hs: Homeserver,
  userKey: number,
  roomKeys: readonly number[],
): Promise<Map<number, string[]>> {
  if (roomKeys.length === 0) return new Map();
  const rows = await hs.sql<{ room_key: number; user_key: number; present: boolean }[]>`
    select asked.room_key, hero.user_key, hero.present
    from unnest(${roomKeys}::bigint[]) as asked (room_key)
    cross join lateral (
      select user_key, membership in ('join', 'invite') as present from memberships
      where memberships.room_key = asked.room_key and user_key <> ${userKey}
        and membership in ('join', 'invite', 'leave', 'ban')
      order by membership in ('join', 'invite') desc, event_key limit ${MOST_HEROES}) as hero`;
  const ids = await userIdsOf(
    hs,
    rows.map((it) => it.user_key),
  );
  return new Map(
    [...Map.groupBy(rows, (it) => it.room_key)].map(([roomKey, its]) => {
      const present = its.filter((it) => it.present);
      const shown = present.length > 0 ? present : its;
      return [roomKey, shown.flatMap((it) => ids.get(it.user_key) ?? [])];
    }),
  );
}
