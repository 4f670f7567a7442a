import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { EventId, RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";
import {
  backAgain,
  belatedUpdates,
  hasChangedBefore,
  isNewlyKnown,
  lastSaid,
  saidMeanwhile,
  toldAnew,
} from "./queries-belated.ts";
import { isNewTo } from "./queries-updates.ts";

/** Marks destinations as owed what happened in a range of positions that concerns them. */
export async function markOwed(tx: Tx, after: Position, upTo: Position): Promise<void> {
  const within = tx`position > ${after} and position <= ${upTo}`;
  await tx`
    with own as (
      select room_key, event_key as position,
        -- Who has brought us a member event about themselves knows it. What we have made in the name of another
        -- server's user, an invitation of who has bound an address, that server does not know.
        case when not users.local and state_key = user_id
          then substring(user_id from position(':' in user_id) + 1) end as unless
      from events join users on users.user_key = events.sender_key
      where event_key > ${after} and event_key <= ${upTo} and anchor = event_key and status = 0
        and coalesce(relayed, users.local)
      union all
      select room_key, receipts.position, null from receipts join users using (user_key)
      where receipts.position > ${after} and receipts.position <= ${upTo}
        and type = 'm.read' and users.local
      union all
      select distinct room_key, device_list_updates.position, null
      from device_list_updates join memberships using (user_key)
      where device_list_updates.position > ${after} and device_list_updates.position <= ${upTo}
        and membership = 'join'
      union all
      select distinct room_key, profile_changes.position, null
      from profile_changes join users using (user_key) join memberships using (user_key)
      where profile_changes.position > ${after} and profile_changes.position <= ${upTo}
        and users.local and field not in ('displayname', 'avatar_url') and membership = 'join'
    ), owed as (
      select server_name, position from own join room_servers using (room_key)
      where since < position and (until is null or until >= position)
        and server_name is distinct from unless
      union all
      -- Of those who come to a room the servers in it are told the devices, should they not know them.
      select server_name, event_key from memberships join room_servers using (room_key)
      where position > ${after} and event_key > ${after} and event_key <= ${upTo}
        and local and membership = 'join' and since <= event_key
        and (until is null or until >= event_key)
      union all
      -- What was said, and changes of devices, from before it was known who is in a room may be news to those who are.
      select server_name, own.position from ${toldAnew(tx, within)} join room_servers using (room_key)
      where ${isNewlyKnown(tx)}
      union all
      select server_name, own.position
      from ${toldAnew(tx, within)} join memberships as other using (user_key)
      join room_servers on room_servers.room_key = other.room_key
      where ${hasChangedBefore(tx)} and other.membership = 'join'
        and since <= own.position and until is null
      union all
      select server_name, since from ${backAgain(tx, tx`since > ${after} and since <= ${upTo}`)}
      where gone is not null
      union all
      select server_name, position from remote_to_device
      where position > ${after} and position <= ${upTo}
      union all
      select server_name, position from sticky_owed
      where position > ${after} and position <= ${upTo}
    )
    insert into destinations as known (server_name, taken_up_to, owed_up_to)
    select server_name, min(position) - 1, max(position) from owed
    group by server_name order by server_name
    on conflict (server_name) do update set
      taken_up_to = case when known.taken_up_to < known.owed_up_to then known.taken_up_to
        else greatest(known.taken_up_to, excluded.taken_up_to) end,
      owed_up_to = greatest(known.owed_up_to, excluded.owed_up_to)
    where known.owed_up_to < excluded.owed_up_to`;
}

/** Something that a destination is owed. */
export type Owed = {
  readonly serverName: ServerName;
  /**
   * Of `message` there is at most one: it says that messages to devices wait. An `introduction` is the join of a
   * user of ours, at its position, to a room with the server, which has shared none with the user before. An `earlier`
   * event was sent before the server came to the room, or was known to be there: its part is its key. `belated` are changes of devices, made
   * while it was not known who is in a room: at the position at which that was found out. `meanwhile` is as
   * `earlier`: what was sent while the server was taken for gone, at the position at which that turned out to be wrong.
   */
  readonly kind:
    | "event"
    | "receipt"
    | "update"
    | "introduction"
    | "belated"
    | "message"
    | "earlier"
    | "meanwhile"
    | "profile";
  readonly position: Position;
  readonly part: number;
};

/** How many of each kind are looked for. */
export type Limits = {
  readonly events: number;
  readonly receipts: number;
  readonly updates: number;
  readonly introductions: number;
  readonly belated: number;
  readonly earlier: number;
  readonly profiles: number;
};

/** Where to look for what a destination is owed: after one position, up to and including another. */
export type Stretch = {
  readonly serverName: ServerName;
  readonly after: Position;
  readonly upTo: Position;
};

/** The first things of each kind that destinations are owed in a stretch each. */
export async function firstOwed(
  db: Queryable,
  places: readonly Stretch[],
  limits: Limits,
): Promise<readonly Owed[]> {
  return await db<Owed[]>`
    select place.server_name as "serverName", owed.kind, owed.position, owed.part
    from unnest(${places.map((it) => it.serverName)}::text[], ${places.map((it) => it.after)}::bigint[],
      ${places.map((it) => it.upTo)}::bigint[]) as place (server_name, after, up_to)
    cross join lateral (
      (select 'event' as kind, event_key as position, 0 as part
      from events join users on users.user_key = events.sender_key
      join room_servers on room_servers.room_key = events.room_key
        and room_servers.server_name = place.server_name
        and since < event_key and (until is null or until >= event_key)
      where event_key > place.after and event_key <= place.up_to
        and anchor = event_key and anchor > place.after and anchor <= place.up_to and status = 0
        and coalesce(relayed, users.local) and (users.local or (state_key, place.server_name)
          is distinct from (user_id, substring(user_id from position(':' in user_id) + 1)))
      order by event_key limit ${limits.events})
      union all
      (select 'receipt', receipts.position, 0
      from receipts join users using (user_key)
      join room_servers on room_servers.room_key = receipts.room_key
        and room_servers.server_name = place.server_name
        and since < receipts.position and (until is null or until >= receipts.position)
      where receipts.position > place.after and receipts.position <= place.up_to
        and receipts.type = 'm.read' and users.local
      order by receipts.position limit ${limits.receipts})
      union all
      (select 'update', position, part from device_list_updates
      where position > place.after and position <= place.up_to and exists (
        select from memberships join room_servers using (room_key)
        where memberships.user_key = device_list_updates.user_key and membership = 'join'
          and room_servers.server_name = place.server_name
          and since < device_list_updates.position
          and (until is null or until >= device_list_updates.position))
      order by position, part limit ${limits.updates})
      union all
      (select distinct 'profile', position, 0 from profile_changes join users using (user_key)
      where position > place.after and position <= place.up_to and users.local
        and field not in ('displayname', 'avatar_url') and exists (
          select from memberships join room_servers using (room_key)
          where memberships.user_key = profile_changes.user_key and membership = 'join'
            and room_servers.server_name = place.server_name and since < profile_changes.position
            and (until is null or until >= profile_changes.position))
      order by position limit ${limits.profiles})
      union all
      (select 'introduction', own.event_key, 0
      from memberships as own join events on events.event_key = own.event_key
      join room_servers on room_servers.room_key = own.room_key
        and room_servers.server_name = place.server_name
        and since <= own.event_key and (until is null or until >= own.event_key)
      where own.position > place.after and own.event_key > place.after and own.event_key <= place.up_to
        and ${isNewTo(db)}
      order by own.event_key limit ${limits.introductions})
      union all
      (${belatedUpdates(db, limits.belated)})
      union all
      (${lastSaid(db, limits.earlier)})
      union all
      (${saidMeanwhile(db, limits.earlier)})
      union all
      (select 'earlier', position, event_key from sticky_owed as own
      where own.server_name = place.server_name and position > place.after and position <= place.up_to
      order by position limit ${limits.earlier})
      union all
      (select 'message', position, part from remote_to_device
      where remote_to_device.server_name = place.server_name order by position, part limit 1)
    ) as owed
    order by place.server_name, owed.kind, owed.position, owed.part`;
}

export type ReceiptRow = {
  readonly position: Position;
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly eventId: EventId;
  readonly thread: string;
  readonly ts: number;
};

/** Receipts by their positions: those that have not moved on since. */
export async function receiptsAt(
  db: Queryable,
  positions: readonly Position[],
): Promise<Map<Position, ReceiptRow>> {
  const rows = await db<ReceiptRow[]>`
    select position, room_id as "roomId", user_id as "userId", event_id as "eventId", thread, ts
    from receipts join rooms using (room_key) join users using (user_key)
      join events on events.event_key = receipts.event_key
    where position = any(${positions}::bigint[])`;
  return new Map(rows.map((it) => [it.position, it]));
}

export type ProfileUpdate = {
  readonly position: Position;
  readonly userId: UserId;
  /** The names of the fields that have changed. */
  readonly fields: readonly string[];
  /** JSON: all fields that no room shows, as they are now. */
  readonly others: string;
};

/** Changes of profiles by their positions; of the name and the picture rooms are told. */
export async function profilesAt(
  db: Queryable,
  positions: readonly Position[],
): Promise<Map<Position, ProfileUpdate>> {
  const rows = await db<ProfileUpdate[]>`
    select position, user_id as "userId", array_agg(field) as fields,
      coalesce((select others from profiles where profiles.user_key = users.user_key), '{}') as others
    from profile_changes join users using (user_key)
    where position = any(${positions}::bigint[]) and field not in ('displayname', 'avatar_url')
    group by position, users.user_key, user_id`;
  return new Map(rows.map((it) => [it.position, it]));
}
