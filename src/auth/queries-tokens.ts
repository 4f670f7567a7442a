import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** What a row of `access_tokens` holds of a new pair. */
export type NewPair = {
  readonly accessHash: Uint8Array;
  readonly refreshHash: Uint8Array | null;
  readonly accessExpiresAtMs: UnixMs | null;
  readonly refreshExpiresAtMs: UnixMs | null;
};

/**
 * Locks a device, so that it stays until the transaction ends and is given no tokens by another.
 *
 * @param passwordHash what the account's password must be, if that let its user in.
 * @returns false if there is no such device, or nobody can log in on it since it is dehydrated; or if its account has ended
 *   or has another password.
 */
export async function lockDevice(
  tx: Tx,
  {
    deviceKey,
    passwordHash,
  }: { readonly deviceKey: number; readonly passwordHash: string | undefined },
): Promise<boolean> {
  // What others did with the device before they let go of it is seen only by what begins then.
  await tx`select from devices where device_key = ${deviceKey} for no key update`;
  const rows = await tx`
    select 1 from devices join accounts using (user_key)
    where device_key = ${deviceKey} and deactivated_at_ms is null
      and password_hash is not distinct from coalesce(${passwordHash ?? null}, password_hash)
      and not exists (select from dehydrated_devices where device_key = ${deviceKey})`;
  return rows.length > 0;
}

/** Gives a device its first pair of tokens. Those it had before end; says how many these were. */
export async function insertFirstPair(
  sql: Queryable,
  deviceKey: number,
  pair: NewPair,
): Promise<number> {
  const [row] = await sql<{ ended: number }[]>`
    with ended as (
      delete from access_tokens where device_key = ${deviceKey} returning token_key
    ), made as (
      insert into access_tokens
        (access_hash, refresh_hash, device_key, access_expires_at_ms, refresh_expires_at_ms)
      values (${pair.accessHash}, ${pair.refreshHash}, ${deviceKey}, ${pair.accessExpiresAtMs},
        ${pair.refreshExpiresAtMs})
    )
    select count(*) as ended from ended`;
  return row?.ended ?? 0;
}

export type StoredPair = {
  readonly tokenKey: number;
  readonly replaces: number | null;
  readonly accessExpiresAtMs: UnixMs | null;
  readonly refreshExpiresAtMs: UnixMs | null;
  readonly deviceKey: number;
  readonly deviceId: string;
  readonly userKey: number;
  readonly userId: UserId;
  readonly isAdmin: boolean;
  readonly isGuest: boolean;
  readonly isLocked: boolean;
  readonly isSuspended: boolean;
};

/** The pair that an access token is of, and whose it is. */
export async function findByAccessHash(
  sql: Queryable,
  hash: Uint8Array,
): Promise<StoredPair | undefined> {
  const [row] = await sql<StoredPair[]>`
    select token_key as "tokenKey", replaces, access_expires_at_ms as "accessExpiresAtMs",
      refresh_expires_at_ms as "refreshExpiresAtMs", device_key as "deviceKey",
      device_id as "deviceId", user_key as "userKey", user_id as "userId", is_admin as "isAdmin",
      is_guest as "isGuest", is_locked as "isLocked", is_suspended as "isSuspended"
    from access_tokens join devices using (device_key) join accounts using (user_key)
      join users using (user_key)
    where access_hash = ${hash} and deactivated_at_ms is null`;
  return row;
}

/** Whether a device, or the account of who has none, is still there and may be used. */
export async function standingOfDevice(
  sql: Queryable,
  { userKey, deviceKey }: Pick<StoredPair, "userKey" | "deviceKey">,
): Promise<{ readonly isThere: boolean; readonly isLocked: boolean } | undefined> {
  const [row] = await sql<{ isThere: boolean; isLocked: boolean }[]>`
    select is_locked as "isLocked", deactivated_at_ms is null and (${deviceKey}::bigint < 0 or exists (
      select from devices where device_key = ${deviceKey})) as "isThere"
    from accounts where user_key = ${userKey}`;
  return row;
}

/**
 * The pair that a refresh token is of, locked until the transaction ends. Its device is before it, as whoever changes a
 * device's pairs has it, or takes it away with them: two that wait for each other would wait for ever.
 */
export async function lockByRefreshHash(
  sql: Queryable,
  hash: Uint8Array,
): Promise<
  | Pick<
      StoredPair,
      "tokenKey" | "replaces" | "refreshExpiresAtMs" | "deviceKey" | "userKey" | "isLocked"
    >
  | undefined
> {
  await sql`
    select from devices
    where device_key = (select device_key from access_tokens where refresh_hash = ${hash})
    for no key update`;
  const [row] = await sql<StoredPair[]>`
    select token_key as "tokenKey", replaces, refresh_expires_at_ms as "refreshExpiresAtMs",
      access_tokens.device_key as "deviceKey", user_key as "userKey", is_locked as "isLocked"
    from access_tokens join devices using (device_key) join accounts using (user_key)
    where refresh_hash = ${hash} and deactivated_at_ms is null
    for update of access_tokens`;
  return row;
}

/**
 * Notes that a pair is in use: the one that it was given for ends, with all others that were given for that.
 *
 * @param now to see what was still valid.
 * @returns whether an access token has ended that was valid, so that other processes may hold it for that.
 */
export async function endReplacedPair(
  sql: Queryable,
  { tokenKey, replaces }: { readonly tokenKey: number; readonly replaces: number },
  now: UnixMs,
): Promise<boolean> {
  const ended = await sql`
    with device as (
      select device_key from devices
      where device_key = (select device_key from access_tokens where token_key = ${tokenKey})
      for no key update
    ), used as (
      update access_tokens set replaces = null from device
      where access_tokens.device_key = device.device_key and token_key = ${tokenKey}
    ), ended as (
      delete from access_tokens using device
      where access_tokens.device_key = device.device_key and token_key <> ${tokenKey}
        and ${replaces} in (token_key, replaces)
      returning access_expires_at_ms
    )
    select 1 from ended where coalesce(access_expires_at_ms > ${now}, true)`;
  return ended.length > 0;
}

/** Of how many pairs that were given for one a client may go on with any. */
const MOST_UNUSED = 3;

/**
 * Gives a device a pair that will take the place of another. Those that were given for it before, and of which none has been
 * used, stay beside it: it may be the request that was given up which has come last.
 */
export async function insertNextPair(
  sql: Queryable,
  { tokenKey, deviceKey }: { readonly tokenKey: number; readonly deviceKey: number },
  pair: NewPair,
): Promise<void> {
  await sql`
    with unused as (
      delete from access_tokens where token_key in (
        select token_key from access_tokens where replaces = ${tokenKey} and device_key = ${deviceKey}
        order by token_key desc offset ${MOST_UNUSED - 1}))
    insert into access_tokens
      (access_hash, refresh_hash, device_key, access_expires_at_ms, refresh_expires_at_ms, replaces)
    values (${pair.accessHash}, ${pair.refreshHash}, ${deviceKey}, ${pair.accessExpiresAtMs},
      ${pair.refreshExpiresAtMs}, ${tokenKey})`;
}

/** Deletes pairs of which nothing has been valid since some moment; says how many. */
export async function deletePairsExpiredBefore(
  sql: Queryable,
  beforeMs: UnixMs,
  limit: number,
): Promise<number> {
  const rows = await sql`
    delete from access_tokens where token_key in (
      select token_key from access_tokens
      where access_expires_at_ms < ${beforeMs}
        and (refresh_hash is null or refresh_expires_at_ms < ${beforeMs})
      limit ${limit})`;
  return rows.count;
}
