import type { LRUCache } from "lru-cache";
import type { Queryable, Tx } from "#src/homeserver/database.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type ServerName, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";

type Cache = { readonly keys: LRUCache<UserId, number>; readonly ids: LRUCache<number, UserId> };

/** A user's key never changes, so it may be kept. */
const cacheOf = held((): Cache => ({
  keys: lru(100_000),
  ids: lru(100_000),
}));

/** The server of a user, unless it is this one. */
export function otherServerOf(hs: Homeserver, userId: UserId): ServerName | undefined {
  const server = serverNameOf(userId);
  return server === hs.name ? undefined : server;
}

/**
 * The users' keys inside, of those of whom any table has ever spoken.
 *
 * @param db where to ask: in a transaction that holds locks, that transaction.
 */
export async function findUserKeys(
  hs: Homeserver,
  userIds: Iterable<UserId>,
  db: Queryable = hs.sql,
): Promise<Map<UserId, number>> {
  const { keys } = cacheOf(hs);
  const found = new Map<UserId, number>();
  const unknown: UserId[] = [];
  for (const userId of new Set(userIds)) {
    const key = keys.get(userId);
    if (key !== undefined) found.set(userId, key);
    // What lists and events say may be anything. The database cannot even be asked for a NUL, which nobody has.
    else if (!userId.includes("\0")) unknown.push(userId);
  }
  if (unknown.length === 0) return found;
  const rows = await db<{ user_key: number; user_id: UserId }[]>`
    select user_key, user_id from users where user_id = any(${unknown}::text[])`;
  for (const row of rows) {
    remember(hs, row.user_key, row.user_id);
    found.set(row.user_id, row.user_key);
  }
  return found;
}

/** The keys of users, made for those who have none. Committed at once, apart from any transaction. */
export async function userKeysOf(
  hs: Homeserver,
  userIds: Iterable<UserId>,
): Promise<Map<UserId, number>> {
  const wanted = new Set(userIds);
  const found = await findUserKeys(hs, wanted);
  const missing = [...wanted].filter((it) => !found.has(it));
  if (missing.length === 0) return found;
  await hs.sql`
    insert into users (user_id, local)
    select unnest(${missing}::text[]),
      unnest(${missing.map((it) => String(serverNameOf(it) === hs.name))}::text[]::boolean[])
    on conflict do nothing`;
  for (const [userId, key] of await findUserKeys(hs, missing)) found.set(userId, key);
  return found;
}

/** The user's key, made if there is none. */
export async function userKeyOf(hs: Homeserver, userId: UserId): Promise<number> {
  const key = (await userKeysOf(hs, [userId])).get(userId);
  if (key === undefined) throw new Error("a user was given no key");
  return key;
}

/** The user IDs that keys stand for. */
export async function userIdsOf(
  hs: Homeserver,
  userKeys: Iterable<number>,
  db: Queryable = hs.sql,
): Promise<Map<number, UserId>> {
  const { ids } = cacheOf(hs);
  const found = new Map<number, UserId>();
  const unknown: number[] = [];
  for (const key of new Set(userKeys)) {
    const id = ids.get(key);
    if (id === undefined) unknown.push(key);
    else found.set(key, id);
  }
  if (unknown.length === 0) return found;
  const rows = await db<{ user_key: number; user_id: UserId }[]>`
    select user_key, user_id from users where user_key = any(${unknown}::bigint[])`;
  for (const row of rows) {
    remember(hs, row.user_key, row.user_id);
    found.set(row.user_key, row.user_id);
  }
  return found;
}

/** Has others who count what a user has wait until the transaction ends. */
export async function lockUser(tx: Tx, userKey: number): Promise<void> {
  await tx`select from users where user_key = ${userKey} for no key update`;
}

function remember(hs: Homeserver, userKey: number, userId: UserId): void {
  const { keys, ids } = cacheOf(hs);
  keys.set(userId, userKey);
  ids.set(userKey, userId);
}
