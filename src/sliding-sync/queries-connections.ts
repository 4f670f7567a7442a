import type { Queryable } from "#src/homeserver/database.ts";

type ToldRow = {
  readonly deviceKey: number;
  readonly connectionId: string;
  readonly told: string;
  readonly usedMs: number;
};

export async function findTold(sql: Queryable, toldKey: number): Promise<ToldRow | undefined> {
  const [row] = await sql<ToldRow[]>`
    select device_key as "deviceKey", connection_id as "connectionId", told, used_ms as "usedMs"
    from sliding_connections where told_key = ${toldKey}`;
  return row;
}

export async function markUsed(sql: Queryable, toldKey: number, usedMs: number): Promise<void> {
  await sql`update sliding_connections set used_ms = ${usedMs} where told_key = ${toldKey}`;
}

/** Answers to one token that the client may still go on from: it repeats a request whose answer it has not got. */
const MOST_ANSWERS = 3;

/** The most rows of a device: of those connections that were used longest ago, the others go. */
const MOST_OF_DEVICE = 64;

/**
 * Stores what a connection has been told, and forgets what it can no longer come back to.
 *
 * @param acknowledged the row by whose token the client has asked; undefined if the connection begins.
 * @returns the new row's key, and those of rows that are gone; undefined if the device is gone.
 */
export async function insertTold(
  sql: Queryable,
  { deviceKey, connectionId, told, usedMs }: ToldRow,
  acknowledged: number | undefined,
): Promise<{ toldKey: number; gone: readonly number[] } | undefined> {
  const [row] = await sql<{ toldKey: number; gone: number[] }[]>`
    with device as (
      select device_key from devices where device_key = ${deviceKey} for key share
    ), gone as (
      delete from sliding_connections
      where device_key = ${deviceKey} and (
        connection_id = ${connectionId} and (
          ${acknowledged ?? null}::bigint is null or told_key < ${acknowledged ?? null}::bigint
          or told_key in (
            select told_key from sliding_connections
            where device_key = ${deviceKey} and connection_id = ${connectionId}
              and told_key > ${acknowledged ?? null}::bigint
            order by told_key desc offset ${MOST_ANSWERS - 1}))
        or told_key in (
          select told_key from sliding_connections
          where device_key = ${deviceKey} and connection_id <> ${connectionId}
          order by used_ms desc, told_key desc offset ${MOST_OF_DEVICE - MOST_ANSWERS - 1}))
      returning told_key
    ), put as (
      insert into sliding_connections (device_key, connection_id, told, used_ms)
      select device_key, ${connectionId}, ${told}, ${usedMs}::bigint from device returning told_key
    )
    select told_key as "toldKey", array(select told_key from gone) as gone from put`;
  return row;
}
