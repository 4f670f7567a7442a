import type { Sql } from "#src/homeserver/database.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { FOLLOWER } from "./follower-name.ts";

/**
 * Lets go of what servers are owed that have not answered for a time, but for some of them.
 *
 * @returns the servers that something was let go of.
 */
export async function giveUpLost(
  sql: Sql,
  { lostMs, partners }: { readonly lostMs: number; readonly partners: readonly string[] },
): Promise<ServerName[]> {
  const rows = await sql<{ server_name: ServerName }[]>`
    with lost as (
      select server_name from destinations
      where failing_since_ms < (extract(epoch from clock_timestamp()) * 1000)::bigint - ${lostMs}::bigint
        and holder is null and owed_up_to > taken_up_to and server_name <> all(${partners}::text[])
      order by server_name for update
    ), messages as (
      delete from remote_to_device using lost where remote_to_device.server_name = lost.server_name
    )
    update destinations set taken_up_to = owed_up_to from lost
    where destinations.server_name = lost.server_name
    returning destinations.server_name`;
  return rows.map((it) => it.server_name);
}

/** Forgets that servers were in rooms, once they have taken what they were owed of them. */
export async function forgetStays(sql: Sql): Promise<void> {
  await sql`
    delete from room_servers
    where until <= (select position from stream_followers where name = ${FOLLOWER}) and not exists (
      select from destinations where destinations.server_name = room_servers.server_name
        and owed_up_to > taken_up_to and taken_up_to < until)`;
}

/**
 * Forgets changes of device lists that all servers have been told of, but for each user's last. Where a room's members are
 * not known yet, it may turn out that there are more servers to be told.
 */
export async function forgetUpdates(sql: Sql): Promise<void> {
  await sql`
    delete from device_list_updates
    where position <= (select position from stream_followers where name = ${FOLLOWER})
      and position <= coalesce(
        (select min(taken_up_to) from destinations where owed_up_to > taken_up_to), position)
      and position <= coalesce(
        (select min(event_key) from partial_rooms join events on event_id = join_id), position)
      and (device_id is null or exists (
        select from device_list_updates as later
        where later.user_key = device_list_updates.user_key and later.device_id is not null
          and (later.position, later.part) > (device_list_updates.position, device_list_updates.part)))`;
}

/** Forgets servers that have taken everything and are in no room of ours. */
export async function forgetStrangers(sql: Sql): Promise<void> {
  await sql`
    delete from destinations
    where owed_up_to <= taken_up_to and holder is null
      and owed_up_to <= (select position from stream_followers where name = ${FOLLOWER})
      and not exists (
        select from room_servers where room_servers.server_name = destinations.server_name)
      and not exists (
        select from remote_to_device where remote_to_device.server_name = destinations.server_name)`;
}
