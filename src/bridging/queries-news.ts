import type { Queryable } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { RoomAlias, UserId } from "#src/kit/identifiers.ts";

/** From just after one position up to and including another. */
export type Bounds = { readonly after: Position; readonly upTo: Position };

/** An event that has become known, and when. */
export type NewEvent = { readonly eventKey: number; readonly at: Position };

/**
 * The first events that got places in their rooms in a range of positions, and those by which the standing of users of
 * ours came to be what it is in rooms that this server is not in. Of one position all.
 */
export async function newEvents(
  db: Queryable,
  { after, upTo }: Bounds,
  most: number,
): Promise<readonly NewEvent[]> {
  return await db<NewEvent[]>`
    select event_key as "eventKey", at from (
      (select event_key, event_key as at from events
      where event_key > ${after} and event_key <= ${upTo} and anchor = event_key and status = 0
        and placed_at is null
      order by at fetch first ${most} rows with ties)
      union
      (select event_key, placed_at from events
      where placed_at > ${after} and placed_at <= ${upTo} and anchor_offset = 0 and status = 0
      order by placed_at fetch first ${most} rows with ties)
      union
      (select event_key, position from memberships join events using (event_key)
      where position > ${after} and position <= ${upTo} and local and anchor is null
      order by position fetch first ${most} rows with ties)
    ) as news order by at fetch first ${most} rows with ties`;
}

/** A user of this server whose member event a room's current state has. */
export type LocalMember = {
  readonly roomKey: number;
  readonly userId: UserId;
  readonly isJoined: boolean;
  /** When the current state came to say so. */
  readonly position: Position;
};

export async function localMembers(
  db: Queryable,
  roomKeys: readonly number[],
): Promise<readonly LocalMember[]> {
  return await db<LocalMember[]>`
    select room_key as "roomKey", user_id as "userId", membership = 'join' as "isJoined", position
    from memberships join users using (user_key)
    where room_key = any(${roomKeys}::bigint[]) and memberships.local`;
}

export async function aliasesOfRooms(
  db: Queryable,
  roomKeys: readonly number[],
): Promise<readonly { readonly roomKey: number; readonly alias: RoomAlias }[]> {
  return await db<{ roomKey: number; alias: RoomAlias }[]>`
    select room_key as "roomKey", alias from room_aliases
    where room_key = any(${roomKeys}::bigint[])`;
}

/** The rooms that users are joined to. */
export async function roomsJoinedBy(
  db: Queryable,
  userKeys: readonly number[],
): Promise<readonly { readonly userKey: number; readonly roomKey: number }[]> {
  return await db<{ userKey: number; roomKey: number }[]>`
    select user_key as "userKey", room_key as "roomKey" from memberships
    where user_key = any(${userKeys}::bigint[]) and membership = 'join'`;
}

/** A message that waits for a device. */
export type WaitingMessage = {
  readonly deviceKey: number;
  readonly deviceId: string;
  readonly userId: UserId;
  readonly position: Position;
  readonly sender: UserId;
  readonly type: string;
  /** JSON. */
  readonly content: string;
};

/** The first messages to devices in a range of positions; of one position all. */
export async function waitingMessages(
  db: Queryable,
  { after, upTo }: Bounds,
  most: number,
): Promise<readonly WaitingMessage[]> {
  return await db<WaitingMessage[]>`
    select to_device.device_key as "deviceKey", device_id as "deviceId", owner.user_id as "userId",
      position, sender.user_id as sender, type, content
    from to_device join devices using (device_key)
      join users as owner on owner.user_key = devices.user_key
      join users as sender on sender.user_key = sender_key
    where position > ${after} and position <= ${upTo}
    order by position fetch first ${most} rows with ties`;
}

/** A user of whom something has become news. */
export type UserNews = { readonly userKey: number; readonly userId: UserId };

/** Whose devices or keys have changed in a range. */
export async function deviceListNews(
  db: Queryable,
  { after, upTo }: Bounds,
): Promise<readonly UserNews[]> {
  return await db<UserNews[]>`
    select user_key as "userKey", user_id as "userId" from device_lists join users using (user_key)
    where position > ${after} and position <= ${upTo}`;
}

/** A device of a user of ours. */
export type DeviceNews = {
  readonly deviceKey: number;
  readonly deviceId: string;
  readonly userId: UserId;
};

/** Of which devices keys have been handed out or uploaded in a range, and those with some keys. */
export async function keySupplyNews(
  db: Queryable,
  { after, upTo }: Bounds,
  deviceKeys: readonly number[],
): Promise<readonly DeviceNews[]> {
  return await db<DeviceNews[]>`
    select devices.device_key as "deviceKey", device_id as "deviceId", user_id as "userId"
    from devices join users using (user_key)
    where device_key = any(${deviceKeys}::bigint[]) or device_key in (
      select device_key from key_supply_changes where position > ${after} and position <= ${upTo})`;
}

/** How many one-time keys devices have by algorithm, and with null which fallback keys nobody has been given. */
export async function keySupplyOf(
  db: Queryable,
  deviceKeys: readonly number[],
): Promise<
  readonly {
    readonly deviceKey: number;
    readonly algorithm: string;
    readonly count: number | null;
  }[]
> {
  return await db<{ deviceKey: number; algorithm: string; count: number | null }[]>`
    select device_key as "deviceKey", algorithm, count(*) as count from one_time_keys
    where device_key = any(${deviceKeys}::bigint[]) group by device_key, algorithm
    union all
    select device_key, algorithm, null from fallback_keys
    where device_key = any(${deviceKeys}::bigint[]) and not used`;
}
