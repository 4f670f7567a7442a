import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { memberCounts } from "#src/rooms/memberships.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";

export type RoomSummary = {
  readonly "m.heroes"?: readonly string[];
  readonly "m.joined_member_count": number;
  readonly "m.invited_member_count": number;
};

/** A summary, and what it says of whom. */
export type SummedRoom = {
  readonly summary: RoomSummary;
  /** Keys of the events that made the heroes what they are in the room. */
  readonly heroEvents: readonly number[];
};

const SUMMED = new Set(["m.room.member", "m.room.name", "m.room.canonical_alias"]);

/** Whether an event may change a room's summary. */
export function isSummed({ type }: Pick<StoredEvent, "type">): boolean {
  return SUMMED.has(type);
}

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
): Promise<Map<number, SummedRoom>> {
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
      const own = named.has(roomKey) ? undefined : (heroes.get(roomKey) ?? []);
      const summary = {
        ...(own && { "m.heroes": own.map((it) => it.userId) }),
        "m.joined_member_count": count?.joined ?? 0,
        "m.invited_member_count": count?.invited ?? 0,
      };
      return [roomKey, { summary, heroEvents: own?.map((it) => it.eventKey) ?? [] }];
    }),
  );
}

type HeroRow = {
  readonly room_key: number;
  readonly user_key: number;
  readonly event_key: number;
  readonly present: boolean;
};

type Hero = { readonly userId: string; readonly eventKey: number };

/** The members, but for the user, who came first; or, where there is nobody else, those who have left. */
async function heroesOf(
  hs: Homeserver,
  userKey: number,
  roomKeys: readonly number[],
): Promise<Map<number, Hero[]>> {
  if (roomKeys.length === 0) return new Map();
  const rows = await hs.sql<HeroRow[]>`
    select asked.room_key, hero.user_key, hero.event_key, hero.present
    from unnest(${roomKeys}::bigint[]) as asked (room_key)
    cross join lateral (
      select user_key, event_key, membership in ('join', 'invite') as present from memberships
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
      const heroes = shown.flatMap(({ user_key, event_key: eventKey }): Hero[] => {
        const userId = ids.get(user_key);
        return userId === undefined ? [] : [{ userId, eventKey }];
      });
      return [roomKey, heroes];
    }),
  );
}
