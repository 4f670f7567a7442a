import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";

/** Which account data: whose, of which room (0 for none), and of what type. */
export type AccountDataKey = {
  readonly userKey: number;
  readonly roomKey: number;
  readonly type: string;
};

export type AccountDataRow = AccountDataKey & {
  /** As JSON. */
  readonly content: string;
  readonly position: Position;
};

/** Account data of one key, as JSON. */
export async function accountDataContent(
  db: Queryable,
  { userKey, roomKey, type }: AccountDataKey,
): Promise<string | undefined> {
  const [row] = await db<{ content: string }[]>`
    select content from account_data
    where user_key = ${userKey} and room_key = ${roomKey} and type = ${type}`;
  return row?.content;
}

/** How much all account data of a user takes but for that of one key. */
export async function otherAccountDataBytes(
  db: Queryable,
  { userKey, roomKey, type }: AccountDataKey,
): Promise<number> {
  const [row] = await db<{ bytes: number }[]>`
    select coalesce(sum(octet_length(content)), 0)::bigint as bytes from account_data
    where user_key = ${userKey} and (room_key, type) <> (${roomKey}, ${type})`;
  return row?.bytes ?? 0;
}

export async function accountDataAt(
  db: Queryable,
  keys: readonly AccountDataKey[],
): Promise<readonly AccountDataRow[]> {
  return await db<AccountDataRow[]>`
    select user_key as "userKey", room_key as "roomKey", type, content, position
    from account_data join unnest(${keys.map((it) => it.userKey)}::bigint[],
      ${keys.map((it) => it.roomKey)}::bigint[], ${keys.map((it) => it.type)}::text[])
      as wanted (user_key, room_key, type) using (user_key, room_key, type)`;
}

/** Stores account data; each key at most once. */
export async function upsertAccountData(lane: Tx, rows: readonly AccountDataRow[]): Promise<void> {
  await lane`
    insert into account_data (user_key, room_key, type, content, position)
    select unnest(${rows.map((it) => it.userKey)}::bigint[]), unnest(${rows.map((it) => it.roomKey)}::bigint[]),
      unnest(${rows.map((it) => it.type)}::text[]), unnest(${rows.map((it) => it.content)}::text[]),
      unnest(${rows.map((it) => it.position)}::bigint[])
    on conflict (user_key, room_key, type)
    do update set content = excluded.content, position = excluded.position`;
}

export async function accountDataBetween(
  db: Queryable,
  after: Position,
  upTo: Position,
): Promise<readonly AccountDataRow[]> {
  return await db<AccountDataRow[]>`
    select user_key as "userKey", room_key as "roomKey", type, content, position
    from account_data where position > ${after} and position <= ${upTo}`;
}

/** All of a user's account data that was set after a position, and all of some rooms whenever it was set. */
export async function accountDataOfUser(
  db: Queryable,
  userKey: number,
  { after, newRooms }: { readonly after: Position; readonly newRooms: Iterable<number> },
): Promise<readonly AccountDataRow[]> {
  return await db<AccountDataRow[]>`
    select user_key as "userKey", room_key as "roomKey", type, content, position
    from account_data
    where user_key = ${userKey}
      and (position > ${after} or room_key = any(${[...newRooms]}::bigint[]))
    order by position`;
}

/** Account data of one type, of all of a user's rooms. */
export async function accountDataOfType(
  db: Queryable,
  userKey: number,
  type: string,
): Promise<readonly AccountDataRow[]> {
  return await db<AccountDataRow[]>`
    select user_key as "userKey", room_key as "roomKey", type, content, position
    from account_data where user_key = ${userKey} and type = ${type}`;
}

export async function deleteAccountData(db: Queryable, userKey: number): Promise<void> {
  await db`delete from account_data where user_key = ${userKey}`;
}

/** The types of a user's account data of no room that begin with a text, but for what is deleted. */
export async function typesBeginning(
  db: Queryable,
  userKey: number,
  prefix: string,
): Promise<readonly string[]> {
  const rows = await db<{ type: string }[]>`
    select type from account_data
    where user_key = ${userKey} and room_key = 0 and starts_with(type, ${prefix}) and content <> '{}'`;
  return rows.map((it) => it.type);
}
