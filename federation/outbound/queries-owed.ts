import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** Marks destinations as owed what happened in a range of positions in rooms that they were in then. */
export async function markOwed(tx: Tx, after: Position, upTo: Position): Promise<void> {
  await tx`
    with own as (
      select room_key, event_key as position, users.local,
        substring(user_id from position(':' in user_id) + 1) as domain
      from events join users on users.user_key = events.sender_key
      where event_key > ${after} and event_key <= ${upTo} and anchor = event_key and status = 0
        and coalesce(relayed, users.local)
    ), owed as (
      select server_name, min(position) as first, max(position) as last
      from own join room_servers using (room_key)
      where since < position and (until is null or until >= position)
        and (local or server_name <> domain)
      group by server_name
    )
    insert into destinations as known (server_name, taken_up_to, owed_up_to)
    select server_name, first - 1, last from owed order by server_name
    on conflict (server_name) do update set
      taken_up_to = case when known.taken_up_to < known.owed_up_to then known.taken_up_to
        else greatest(known.taken_up_to, excluded.taken_up_to) end,
      owed_up_to = greatest(known.owed_up_to, excluded.owed_up_to)
    where known.owed_up_to < excluded.owed_up_to`;
}

export type OwedEvent = { readonly serverName: ServerName; readonly eventKey: number };

/** The first events that destinations are owed, after what each has taken and up to a position, in order. */
export async function owedEvents(
  db: Queryable,
  places: readonly { readonly serverName: ServerName; readonly after: Position }[],
  { upTo, limit }: { readonly upTo: Position; readonly limit: number },
): Promise<readonly OwedEvent[]> {
  return await db<OwedEvent[]>`
    select place.server_name as "serverName", owed.event_key as "eventKey"
    from unnest(${places.map((it) => it.serverName)}::text[], ${places.map((it) => it.after)}::bigint[])
      as place (server_name, after)
    cross join lateral (
      select event_key
      from events join users on users.user_key = events.sender_key
      join room_servers on room_servers.room_key = events.room_key
        and room_servers.server_name = place.server_name
        and since < event_key and (until is null or until >= event_key)
      where event_key > place.after and event_key <= ${upTo}
        and anchor = event_key and anchor > place.after and anchor <= ${upTo} and status = 0
        and coalesce(relayed, users.local)
        and (users.local or substring(user_id from position(':' in user_id) + 1) <> place.server_name)
      order by event_key limit ${limit}
    ) as owed`;
}
