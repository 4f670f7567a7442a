import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";

/** What a row of `access_tokens` holds of a new pair. */
export type NewPair = {
  readonly accessHash: Uint8Array;
  readonly refreshHash: Uint8Array | null;
  readonly accessExpiresAtMs: UnixMs | null;
  readonly refreshExpiresAtMs: UnixMs | null;
};

/** Somebody who logs in on a device. */
export type LogIn = {
  readonly userKey: number;
  readonly deviceId: string;
  /** What the account's password must be, if that let them in. */
  readonly passwordHash: string | undefined;
};

/**
 * Which of those who log in may not any more, by their places: those whose account has ended, is locked or has another
 * password, and those who name a dehydrated device, on which nobody can be logged in.
 */
export async function refusedLogIns(lane: Tx, logIns: readonly LogIn[]): Promise<Set<number>> {
  if (logIns.length === 0) return new Set();
  const rows = await lane<{ index: number }[]>`
    select (index - 1)::int as index from unnest(
      ${logIns.map((it) => it.userKey)}::bigint[], ${logIns.map((it) => it.deviceId)}::text[],
      ${logIns.map((it) => it.passwordHash ?? null)}::text[])
      with ordinality as it (user_key, device_id, password_hash, index)
    where not exists (select from accounts
      where accounts.user_key = it.user_key and deactivated_at_ms is null and not is_locked
        and accounts.password_hash is not distinct from coalesce(it.password_hash, accounts.password_hash))
      or exists (select from dehydrated_devices join devices using (device_key)
        where devices.user_key = it.user_key and devices.device_id = it.device_id)`;
  return new Set(rows.map((it) => it.index));
}

/** The first pair of a device, and where in the streams it is given. */
export type FirstPair = {
  readonly deviceKey: number;
  readonly pair: NewPair;
  readonly position: Position;
};

/**
 * Gives devices their first pairs of tokens, each at most one. Those they had before end.
 *
 * @returns which devices are still there; and whose other tokens have ended, and at which position it is told.
 */
export async function insertFirstPairs(
  lane: Tx,
  its: readonly FirstPair[],
): Promise<readonly { readonly deviceKey: number; readonly endedOf: number | null }[]> {
  if (its.length === 0) return [];
  const deviceKeys = its.map((it) => it.deviceKey);
  // What others did with a device before they let go of it is seen only by what begins then.
  void lane`
    select from devices where device_key = any(${deviceKeys}::bigint[])
    order by device_key for no key update`;
  return await lane<{ deviceKey: number; endedOf: number | null }[]>`
    with given as (
      select given.*, user_key from unnest(
        ${deviceKeys}::bigint[], ${its.map((it) => it.position)}::bigint[],
        ${its.map((it) => hexOf(it.pair.accessHash))}::text[], ${its.map((it) => hexOf(it.pair.refreshHash))}::text[],
        ${its.map((it) => it.pair.accessExpiresAtMs)}::bigint[], ${its.map((it) => it.pair.refreshExpiresAtMs)}::bigint[])
        as given (device_key, position, access_hash, refresh_hash, access_expires_at_ms, refresh_expires_at_ms)
      join devices using (device_key)
    ), ended as (
      delete from access_tokens using given where access_tokens.device_key = given.device_key
      returning given.device_key, given.user_key, given.position
    ), told as (
      update accounts set position = news.position
      from (select user_key, max(position) as position from ended group by user_key) as news
      where accounts.user_key = news.user_key
    ), made as (
      insert into access_tokens
        (access_hash, refresh_hash, device_key, access_expires_at_ms, refresh_expires_at_ms)
      select decode(access_hash, 'hex'), decode(refresh_hash, 'hex'), device_key, access_expires_at_ms,
        refresh_expires_at_ms
      from given
    )
    select device_key as "deviceKey", case when exists (
      select from ended where ended.device_key = given.device_key) then user_key end as "endedOf"
    from given`;
}

function hexOf(hash: Uint8Array | null): string | null {
  return hash && Buffer.from(hash).toString("hex");
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
