import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";

/** Until when a user types in a room; in the past if they have stopped. */
export type TypingRow = {
  readonly roomKey: number;
  readonly userKey: number;
  readonly untilMs: UnixMs;
  readonly position: Position;
  /** The position of the last change that clients are told of. */
  readonly newsPosition: Position;
};

export async function typingAt(
  db: Queryable,
  keys: readonly Pick<TypingRow, "roomKey" | "userKey">[],
): Promise<readonly TypingRow[]> {
  return await db<TypingRow[]>`
    select room_key as "roomKey", user_key as "userKey", until_ms as "untilMs", position,
      news_position as "newsPosition"
    from typing join unnest(${keys.map((it) => it.roomKey)}::bigint[],
      ${keys.map((it) => it.userKey)}::bigint[]) as wanted (room_key, user_key)
      using (room_key, user_key)`;
}

/** Each user at most once in a room. One statement, for the lane. */
export function upsertTyping(lane: Tx, rows: readonly TypingRow[]): void {
  void lane`
    insert into typing (room_key, user_key, until_ms, position, news_position)
    select unnest(${rows.map((it) => it.roomKey)}::bigint[]), unnest(${rows.map((it) => it.userKey)}::bigint[]),
      unnest(${rows.map((it) => it.untilMs)}::bigint[]), unnest(${rows.map((it) => it.position)}::bigint[]),
      unnest(${rows.map((it) => it.newsPosition)}::bigint[])
    on conflict (room_key, user_key)
    do update set until_ms = excluded.until_ms, position = excluded.position,
      news_position = excluded.news_position`;
}

export async function typingBetween(
  db: Queryable,
  after: Position,
  upTo: Position,
): Promise<readonly TypingRow[]> {
  return await db<TypingRow[]>`
    select room_key as "roomKey", user_key as "userKey", until_ms as "untilMs", position,
      news_position as "newsPosition"
    from typing where position > ${after} and position <= ${upTo}`;
}

/** All who type at a time, or have not been heard of since. */
export async function typingSince(db: Queryable, sinceMs: UnixMs): Promise<readonly TypingRow[]> {
  return await db<TypingRow[]>`
    select room_key as "roomKey", user_key as "userKey", until_ms as "untilMs", position,
      news_position as "newsPosition"
    from typing where until_ms > ${sinceMs}`;
}

/** Those of some rooms in which somebody began or stopped typing after a position. */
export async function roomsWithTypingAfter(
  db: Queryable,
  roomKeys: readonly number[],
  after: Position,
): Promise<readonly number[]> {
  const rows = await db<{ room_key: number }[]>`
    select distinct room_key from typing
    where news_position > ${after} and room_key = any(${roomKeys}::bigint[])`;
  return rows.map((it) => it.room_key);
}

/** @returns how many rows went. */
export async function deleteTypingUntil(
  db: Queryable,
  untilMs: UnixMs,
  limit: number,
): Promise<number> {
  const gone = await db`
    delete from typing where (room_key, user_key) in (
      select room_key, user_key from typing where until_ms < ${untilMs} limit ${limit})`;
  return gone.count;
}
