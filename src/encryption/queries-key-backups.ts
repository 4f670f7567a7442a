import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { RoomId } from "#src/kit/identifiers.ts";

export type BackupRow = {
  readonly version: number;
  readonly algorithm: string;
  readonly authData: string;
  readonly etag: number;
  readonly count: number;
};

/** A version of a user's backup; the newest if none is named. */
export async function findBackup(
  sql: Queryable,
  userKey: number,
  version: number | undefined,
): Promise<BackupRow | undefined> {
  const [row] = await sql<BackupRow[]>`
    select version, algorithm, auth_data as "authData", etag, session_count as count from key_backups
    where user_key = ${userKey} and version = coalesce(${version ?? null}::int, version)
    order by version desc limit 1`;
  return row;
}

/** Finds the newest version and keeps others from changing any, until the transaction ends. */
export async function lockNewest(tx: Tx, userKey: number): Promise<number | undefined> {
  const rows = await tx<{ version: number }[]>`
    select version from key_backups where user_key = ${userKey} order by version for update`;
  return rows.at(-1)?.version;
}

/** @returns the version; undefined if the user has as many as they may have. */
export async function insertBackup(
  sql: Queryable,
  userKey: number,
  { algorithm, authData, most }: { algorithm: string; authData: string; most: number },
): Promise<number | undefined> {
  const [row] = await sql<{ version: number }[]>`
    with counted as (
      insert into key_backup_counters (user_key, last_version)
      select ${userKey}::bigint, 1 where (
        select count(*) from key_backups where user_key = ${userKey}) < ${most}
      on conflict (user_key) do update set last_version = key_backup_counters.last_version + 1
      returning user_key, last_version
    )
    insert into key_backups (user_key, version, algorithm, auth_data, etag, session_count)
    select user_key, last_version, ${algorithm}, ${authData}, 0, 0 from counted
    returning version`;
  return row?.version;
}

export async function updateAuthData(
  sql: Queryable,
  userKey: number,
  { version, authData }: { version: number; authData: string },
): Promise<void> {
  await sql`
    update key_backups set auth_data = ${authData}
    where user_key = ${userKey} and version = ${version}`;
}

/** @returns whether there was such a version. */
export async function deleteBackup(
  sql: Queryable,
  userKey: number,
  version: number,
): Promise<boolean> {
  const { count } = await sql`
    delete from key_backups where user_key = ${userKey} and version = ${version}`;
  return count > 0;
}

export async function deleteBackups(sql: Queryable, userKey: number): Promise<void> {
  await sql`delete from key_backups where user_key = ${userKey}`;
}

export type SessionRow = {
  readonly roomId: RoomId;
  readonly sessionId: string;
  readonly firstMessageIndex: number;
  readonly forwardedCount: number;
  readonly isVerified: boolean;
  readonly sessionData: string;
};

/** Which sessions of a backup: all, those of a room, or one. */
export type Which = {
  readonly userKey: number;
  readonly version: number;
  readonly roomId: RoomId | undefined;
  readonly sessionId: string | undefined;
};

/** The next sessions of a backup after one, by room and ID. */
export async function sessionsAfter(
  sql: Queryable,
  which: Omit<Which, "sessionId">,
  { after, limit }: { readonly after: SessionRow | undefined; readonly limit: number },
): Promise<SessionRow[]> {
  return await sql<SessionRow[]>`
    select ${sessionColumns(sql)} from key_backup_sessions
    where user_key = ${which.userKey} and version = ${which.version}
      ${which.roomId === undefined ? sql`` : sql`and room_id = ${which.roomId}`}
      and (room_id, session_id) > (${after?.roomId ?? ""}, ${after?.sessionId ?? ""})
    order by room_id, session_id limit ${limit}`;
}

export async function findSession(
  sql: Queryable,
  which: { userKey: number; version: number; roomId: RoomId; sessionId: string },
): Promise<SessionRow | undefined> {
  const [row] = await sql<SessionRow[]>`
    select ${sessionColumns(sql)} from key_backup_sessions
    where user_key = ${which.userKey} and version = ${which.version}
      and room_id = ${which.roomId} and session_id = ${which.sessionId}`;
  return row;
}

function sessionColumns(sql: Queryable) {
  return sql`room_id as "roomId", session_id as "sessionId",
    first_message_index as "firstMessageIndex", forwarded_count as "forwardedCount",
    is_verified as "isVerified", session_data as "sessionData"`;
}

/**
 * Stores sessions, each at most once, where they are better than what is there.
 *
 * @returns how many were new, and how many were stored.
 * @spec client-server-api#put_matrixclientv3room_keyskeys
 */
export async function upsertSessions(
  tx: Tx,
  { userKey, version }: { userKey: number; version: number },
  rows: readonly SessionRow[],
): Promise<{ added: number; stored: number }> {
  const [result] = await tx<{ added: number; stored: number }[]>`
    with stored as (
      insert into key_backup_sessions as held (user_key, version, room_id, session_id,
        first_message_index, forwarded_count, is_verified, session_data)
      select ${userKey}::bigint, ${version}::int, room_id, session_id, first_message_index,
        forwarded_count, is_verified = 'true', session_data
      from unnest(${rows.map((it) => it.roomId)}::text[], ${rows.map((it) => it.sessionId)}::text[],
        ${rows.map((it) => it.firstMessageIndex)}::bigint[],
        ${rows.map((it) => it.forwardedCount)}::bigint[],
        ${rows.map((it) => String(it.isVerified))}::text[],
        ${rows.map((it) => it.sessionData)}::text[])
        as new (room_id, session_id, first_message_index, forwarded_count, is_verified, session_data)
      on conflict (user_key, version, room_id, session_id) do update
        set first_message_index = excluded.first_message_index,
          forwarded_count = excluded.forwarded_count, is_verified = excluded.is_verified,
          session_data = excluded.session_data
        where (not excluded.is_verified, excluded.first_message_index, excluded.forwarded_count)
          < (not held.is_verified, held.first_message_index, held.forwarded_count)
      returning (xmax = 0) as added
    )
    select count(*) filter (where added) as added, count(*) as stored from stored`;
  return result ?? { added: 0, stored: 0 };
}

export async function deleteSessions(tx: Tx, which: Which): Promise<number> {
  const { count } = await tx`
    delete from key_backup_sessions
    where user_key = ${which.userKey} and version = ${which.version}
      and room_id = coalesce(${which.roomId ?? null}::text, room_id)
      and session_id = coalesce(${which.sessionId ?? null}::text, session_id)`;
  return count;
}

/** Counts a change of what is in a backup. */
export async function touchBackup(
  tx: Tx,
  { userKey, version }: { userKey: number; version: number },
  { added, changed }: { added: number; changed: boolean },
): Promise<{ etag: number; count: number } | undefined> {
  const [row] = await tx<{ etag: number; count: number }[]>`
    update key_backups set session_count = session_count + ${added}::int,
      etag = etag + ${changed ? 1 : 0}::int
    where user_key = ${userKey} and version = ${version}
    returning etag, session_count as count`;
  return row;
}
