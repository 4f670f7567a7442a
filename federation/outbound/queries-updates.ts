import type { Queryable } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";

// What other servers are told of our users' devices and keys.

/** That `own` is a user of ours who has joined, by `events`, a room with the server of `place`, and has shared none with it before. */
export function isNewTo(db: Queryable) {
  return db`own.local and own.membership = 'join'
    and not exists (
      select from events as before
      where before.event_key = events.replaces and before.event_key <= place.after
        and ${wasJoin(db)})
    and not exists (
      select from memberships as other join events as now on now.event_key = other.event_key
      left join events as before on before.event_key = now.replaces
      join room_servers as theirs on theirs.room_key = other.room_key
      where other.user_key = own.user_key and other.room_key <> own.room_key
        and other.membership = 'join' and (now.event_key < own.event_key
          or before.event_key < own.event_key
            and ${wasJoin(db)})
        and theirs.server_name = place.server_name and theirs.since < own.event_key
        and theirs.until is null offset 0)`;
}

/** What a text in JSON has escaped. None of it is part of the words that are looked for. */
const ESCAPED = String.raw`\\(u.{4}|.)`;

/** That `before` was a join. Without what is escaped in it: the database reads no JSON with a NUL, and whoever invites says what they like. */
function wasJoin(db: Queryable) {
  return db`regexp_replace(before.json, ${ESCAPED}, '_', 'g')::json -> 'content' ->> 'membership' = 'join'`;
}

/** The most devices of a user that are introduced: any one has a server ask for all of them. */
const MOST_INTRODUCED = 20;

export type UpdateRow = {
  readonly position: Position;
  readonly part: number;
  readonly userId: UserId;
  /** Null if it is the user's own keys that have changed. */
  readonly deviceId: string | null;
  readonly prevId: number | null;
  /** What it is called; null also if it is gone. */
  readonly name: string | null;
  readonly isGone: boolean;
};

/** Updates of device lists by their positions, in order. */
export async function updatesAt(
  db: Queryable,
  positions: readonly Position[],
): Promise<readonly UpdateRow[]> {
  return await db<UpdateRow[]>`
    select position, part, user_id as "userId", device_id as "deviceId", prev_id as "prevId",
      display_name as name, devices.device_key is null as "isGone"
    from device_list_updates join users using (user_key) left join devices using (user_key, device_id)
    where position = any(${positions}::bigint[]) order by position, part`;
}

/**
 * The devices of those whose joins these are: as updates of which none follows upon what came before. Where a room
 * was joined without its members, which servers are in it is hearsay: they are told only of devices with keys.
 */
export async function introductionsAt(
  db: Queryable,
  positions: readonly Position[],
): Promise<readonly UpdateRow[]> {
  return await db<UpdateRow[]>`
    select event_key as position, part::int, user_id as "userId", device_id as "deviceId",
      display_name as name, null::bigint as "prevId", false as "isGone"
    from events join users on users.user_key = events.sender_key
    cross join lateral (
      select device_id, display_name, row_number() over (order by device_key desc) as part
      from (select * from devices where user_key = events.sender_key offset 0) as devices
      left join device_keys using (device_key) left join memberships
        on memberships.user_key = events.sender_key and memberships.room_key = events.room_key
      where device_keys.json is not null
        or events.on_partial is null and memberships.position = events.event_key
      order by device_key desc limit ${MOST_INTRODUCED}
    ) as introduced
    where event_key = any(${positions}::bigint[]) order by event_key, part`;
}
