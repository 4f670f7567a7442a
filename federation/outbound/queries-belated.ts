import type { Queryable } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import type { UpdateRow } from "./queries-updates.ts";

// What servers are owed that turn out to be in a room, once all of its members are known.

/**
 * As `own`, the standings of users of ours who were told of a room anew: the position is that at which it was found out
 * who is there, the event the user's last before that.
 *
 * @param where which of them. They are few: nothing else is looked at before them.
 */
export function toldAnew(db: Queryable, where: Fragment) {
  return db`(
    select user_key, room_key, event_key, position from memberships
    where ${where} and event_key < position and local and membership = 'join' offset 0) as own`;
}

type Fragment = ReturnType<typeof hasChangedBefore>;

/** That the user has changed devices or keys before. */
export function hasChangedBefore(db: Queryable) {
  return db`exists (
    select from device_list_updates
    where device_list_updates.user_key = own.user_key
      and device_list_updates.position > own.event_key and device_list_updates.position < own.position)`;
}

/** That `room_servers` is of a server that is in the room, and was not known to be since the user came. */
export function isNewlyKnown(db: Queryable) {
  return db`since > own.event_key and since <= own.position and until is null`;
}

/** The positions at which it was found out that the server of `place` lacks changes of devices of a user with whom it shares a room. */
export function belatedUpdates(db: Queryable, limit: number) {
  return db`
    select distinct 'belated', own.position, 0
    from ${toldAnew(db, db`position > place.after and position <= place.up_to`)}
    where ${hasChangedBefore(db)}
      and exists (
        select from memberships as other join room_servers as theirs using (room_key)
        where other.user_key = own.user_key and other.membership = 'join'
          and theirs.server_name = place.server_name and theirs.since <= own.position
          and theirs.until is null offset 0)
      and not exists (
        select from room_servers as theirs
        where theirs.room_key = own.room_key and theirs.server_name = place.server_name
          and theirs.since <= own.event_key and theirs.until is null offset 0)
    order by own.position limit ${limit}`;
}

/** The last that users of ours have said in rooms that the server of `place` turns out to be in: what came before, that leads to. */
export function lastSaid(db: Queryable, limit: number) {
  return db`
    select 'earlier', own.position, max(said.event_key)
    from ${toldAnew(db, db`position > place.after and position <= place.up_to`)}
    join room_servers using (room_key)
    join events as said on said.room_key = own.room_key
      and said.anchor > own.event_key and said.anchor < own.position
    join users on users.user_key = said.sender_key
    where ${isNewlyKnown(db)} and server_name = place.server_name
      and said.anchor = said.event_key and said.status = 0
      and users.local and coalesce(said.relayed, true)
    group by own.position order by own.position limit ${limit}`;
}

/**
 * As `again`, the servers that were taken for gone from a room, and are in it by a member event from before, as it turned out: by no join of
 * which they would know that something came before it.
 *
 * @param where from when on they are in the room again.
 */
export function backAgain(db: Queryable, where: Fragment) {
  return db`(
    select room_key, server_name, since, (
      select max(before.until) from room_servers as before
      where before.room_key = back.room_key and before.server_name = back.server_name
        and before.until < back.since) as gone
    from (select * from room_servers where ${where} and until is null offset 0) as back
    where exists (
      select from memberships
      where memberships.room_key = back.room_key and memberships.position = back.since
        and event_key < memberships.position and membership = 'join')
  ) as again`;
}

/** The last that users of ours have said in rooms while the server of `place` was taken for gone: what came before, that leads to. */
export function saidMeanwhile(db: Queryable, limit: number) {
  return db`
    select 'meanwhile', again.since, max(said.event_key)
    from ${backAgain(db, db`since > place.after and since <= place.up_to`)}
    join events as said on said.room_key = again.room_key
      and said.anchor > again.gone and said.anchor < again.since
    join users on users.user_key = said.sender_key
    where again.server_name = place.server_name
      and said.anchor = said.event_key and said.status = 0
      and users.local and coalesce(said.relayed, true)
    group by again.since order by again.since limit ${limit}`;
}

/** The servers that are perhaps owed something since users of ours were told anew of one of some rooms. */
export async function serversOfKnown(
  db: Queryable,
  roomKeys: readonly number[],
): Promise<ServerName[]> {
  const own = toldAnew(db, db`room_key = any(${roomKeys}::bigint[])`);
  const rows = await db<{ server_name: ServerName }[]>`
    select server_name from ${own} join room_servers using (room_key) where ${isNewlyKnown(db)}
    union
    select server_name from ${own} join memberships as other using (user_key)
    join room_servers on room_servers.room_key = other.room_key and until is null
    where ${hasChangedBefore(db)} and other.membership = 'join'`;
  return rows.map((it) => it.server_name);
}

/** The most updates that are told at once of those that come late: who lacks one sees it by the user's next. */
const MOST_BELATED = 50;

/** An update, and the position at which it turned out that it was not told to everybody. */
export type BelatedRow = UpdateRow & { readonly foundAt: Position };

/**
 * The last changes of the devices and of the keys of users of ours, of those made between their joins and the positions at
 * which it was found out who is in their rooms. Who has missed others before them sees it by what they follow.
 */
export async function belatedAt(
  db: Queryable,
  positions: readonly Position[],
): Promise<readonly BelatedRow[]> {
  return await db<BelatedRow[]>`
    select "foundAt", missed.position, part, user_id as "userId", device_id as "deviceId",
      prev_id as "prevId", display_name as name, devices.device_key is null as "isGone"
    from unnest(${positions}::bigint[]) as found ("foundAt")
    cross join lateral (
      select missed.* from memberships cross join lateral (
        select distinct on (device_id is null) position, part, user_key, device_id, prev_id
        from device_list_updates
        where device_list_updates.user_key = memberships.user_key
          and device_list_updates.position > memberships.event_key
          and device_list_updates.position < memberships.position
        order by device_id is null, position desc, part desc
      ) as missed
      where memberships.position = "foundAt" and event_key < memberships.position
        and local and membership = 'join'
      order by position, part limit ${MOST_BELATED}
    ) as missed
    join users using (user_key) left join devices using (user_key, device_id)
    order by "foundAt", missed.position, part`;
}
