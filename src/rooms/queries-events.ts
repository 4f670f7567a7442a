import type { Queryable } from "#src/homeserver/database.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { EventRow } from "./stored-event.ts";

export async function eventsByKeys(
  db: Queryable,
  eventKeys: readonly number[],
): Promise<readonly EventRow[]> {
  const rows = await db<PackedRow[]>`
    select array[event_key, room_key, sender_key, depth, origin_server_ts, status, anchor_offset, ordinal,
        anchor, state_before, state_after, room_state, replaces, redacted_by, device_key,
        relayed::int, on_partial::int]::bigint[] as numbers,
      event_id, type, state_key, users.user_id as sender, auth_keys, txn_id, json
    from events join users on users.user_key = events.sender_key
    where event_key = any(${eventKeys}::bigint[])`;
  return rows.map(unpacked);
}

export async function eventsByIds(
  db: Queryable,
  eventIds: readonly EventId[],
): Promise<readonly EventRow[]> {
  const rows = await db<PackedRow[]>`
    select array[event_key, room_key, sender_key, depth, origin_server_ts, status, anchor_offset, ordinal,
        anchor, state_before, state_after, room_state, replaces, redacted_by, device_key,
        relayed::int, on_partial::int]::bigint[] as numbers,
      event_id, type, state_key, users.user_id as sender, auth_keys, txn_id, json
    from events join users on users.user_key = events.sender_key
    where event_id = any(${eventIds}::text[])`;
  return rows.map(unpacked);
}

/**
 * A row of `events` with its numbers in one array: the driver takes as long for a column as for a kilobyte of text, and
 * an object of so many properties as there are columns is no quick one any more.
 */
type PackedRow = Pick<
  EventRow,
  "event_id" | "type" | "state_key" | "sender" | "auth_keys" | "txn_id" | "json"
> & { readonly numbers: Numbers };

type Numbers = readonly [
  event_key: number,
  room_key: number,
  sender_key: number,
  depth: number,
  origin_server_ts: number,
  status: number,
  anchor_offset: number,
  ordinal: number,
  anchor: number | null,
  state_before: number | null,
  state_after: number | null,
  room_state: number | null,
  replaces: number | null,
  redacted_by: number | null,
  device_key: number | null,
  relayed: number | null,
  on_partial: number | null,
];

function unpacked(row: PackedRow): EventRow {
  const { numbers } = row;
  return {
    event_key: numbers[0],
    room_key: numbers[1],
    sender_key: numbers[2],
    depth: numbers[3],
    origin_server_ts: numbers[4],
    status: numbers[5],
    anchor_offset: numbers[6],
    ordinal: numbers[7],
    anchor: numbers[8],
    state_before: numbers[9],
    state_after: numbers[10],
    room_state: numbers[11],
    replaces: numbers[12],
    redacted_by: numbers[13],
    device_key: numbers[14],
    relayed: truth(numbers[15]),
    on_partial: truth(numbers[16]),
    event_id: row.event_id,
    type: row.type,
    state_key: row.state_key,
    sender: row.sender,
    auth_keys: row.auth_keys,
    txn_id: row.txn_id,
    json: row.json,
  };
}

function truth(number: number | null): boolean | null {
  return number === null ? null : number === 1;
}

/** The keys of events and of all in their auth chains, down to some key. */
export async function authChainKeys(
  db: Queryable,
  eventKeys: readonly number[],
  oldest: number,
): Promise<readonly number[]> {
  const rows = await db<{ event_key: number }[]>`
    with recursive chain (event_key) as (
      select unnest(${eventKeys}::bigint[])
      union
      select cited.event_key from chain join events using (event_key),
        unnest(events.auth_keys) as cited (event_key)
      where cited.event_key >= ${oldest}
    )
    select event_key from chain`;
  return rows.map((it) => it.event_key);
}

/**
 * Events that got their places in their rooms in a range of positions, and when. Those at the end of a room have the place that
 * they got then; else they had it before, and have been judged again.
 */
export async function eventsPlacedBetween(
  db: Queryable,
  after: number,
  upTo: number,
): Promise<readonly (EventRow & { readonly at: number })[]> {
  return await db<(EventRow & { at: number })[]>`
    select placed.*, users.user_id as sender from (
      select *, event_key as at from events
      where event_key > ${after} and event_key <= ${upTo} and anchor = event_key
      union all
      select *, placed_at from events
      where placed_at > ${after} and placed_at <= ${upTo} and anchor <> event_key
        and (anchor_offset < 0 or anchor = placed_at)
    ) as placed join users on users.user_key = placed.sender_key
    order by at`;
}
