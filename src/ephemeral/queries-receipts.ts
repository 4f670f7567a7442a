import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Placed } from "#src/streams/stream.ts";
import type { Receipt, ReceiptWrite } from "./receipt.ts";

/**
 * Stores receipts, each at most once for its room, user, type and thread; but for those that are not
 * ahead of the one that is there.
 *
 * @returns the positions of those that were stored: one statement, for whose answer nobody has to wait.
 */
export function upsertReceipts(
  lane: Tx,
  placed: readonly Placed<ReceiptWrite>[],
): PromiseLike<readonly { readonly position: Position }[]> {
  const writes = placed.map((it) => it.write);
  const events = writes.map((it) => it.event);
  return lane<{ position: Position }[]>`
    insert into receipts
      (room_key, user_key, type, thread, event_key, anchor, anchor_offset, ts, position)
    select unnest(${events.map((it) => it.roomKey)}::bigint[]),
      unnest(${writes.map((it) => it.userKey)}::bigint[]), unnest(${writes.map((it) => it.type)}::text[]),
      unnest(${writes.map((it) => it.thread)}::text[]), unnest(${events.map((it) => it.eventKey)}::bigint[]),
      unnest(${events.map((it) => it.anchor)}::bigint[]), unnest(${events.map((it) => it.anchorOffset)}::int[]),
      unnest(${writes.map((it) => it.ts)}::bigint[]), unnest(${placed.map((it) => it.position)}::bigint[])
    on conflict (room_key, user_key, type, thread)
    do update set event_key = excluded.event_key, anchor = excluded.anchor,
      anchor_offset = excluded.anchor_offset, ts = excluded.ts, position = excluded.position
    where (receipts.anchor, receipts.anchor_offset) < (excluded.anchor, excluded.anchor_offset)
    returning position`;
}

/**
 * Removes users' receipts for threads of rooms, but for the newest of each user in each room. What somebody is about to
 * move stays: it is not among the oldest any more.
 */
export async function forgetFurtherThreads(
  db: Queryable,
  said: readonly { readonly room: { readonly roomKey: number }; readonly userKey: number }[],
  most: number,
): Promise<void> {
  await db`
    with said as (
      select distinct room_key, user_key from unnest(
        ${said.map((it) => it.room.roomKey)}::bigint[], ${said.map((it) => it.userKey)}::bigint[])
        as said (room_key, user_key)
    ), further as (
      select receipts.* from said cross join lateral (
        select room_key, user_key, type, thread from receipts
        where receipts.room_key = said.room_key and receipts.user_key = said.user_key
          and type = 'm.read' and thread not in ('', 'main')
        order by position desc offset ${most}) as old
      join receipts on receipts.room_key = old.room_key and receipts.user_key = old.user_key
        and receipts.type = old.type and receipts.thread = old.thread
      for update of receipts skip locked
    )
    delete from receipts using further
    where receipts.room_key = further.room_key and receipts.user_key = further.user_key
      and receipts.type = further.type and receipts.thread = further.thread`;
}

/** Receipts that were stored in a range of positions. */
export async function receiptsBetween(
  db: Queryable,
  after: Position,
  upTo: Position,
): Promise<readonly Receipt[]> {
  return await db<Receipt[]>`
    select receipts.room_key as "roomKey", receipts.user_key as "userKey", user_id as "userId",
      receipts.type, thread, event_id as "eventId", receipts.event_key as "eventKey",
      receipts.anchor - (receipts.anchor_offset < 0)::int as read, ordinal, ts, position
    from receipts join users using (user_key) join events on events.event_key = receipts.event_key
    where position > ${after} and position <= ${upTo}
    order by position`;
}

/** The receipts of rooms that a user may see: those stored after a position, and in new rooms all. */
export async function receiptsInRooms(
  db: Queryable,
  userKey: number,
  {
    after,
    rooms,
    newRooms,
  }: {
    readonly after: Position;
    readonly rooms: readonly number[];
    readonly newRooms: readonly number[];
  },
): Promise<readonly Receipt[]> {
  return await db<Receipt[]>`
    select receipts.room_key as "roomKey", receipts.user_key as "userKey", user_id as "userId",
      receipts.type, thread, event_id as "eventId", receipts.event_key as "eventKey",
      receipts.anchor - (receipts.anchor_offset < 0)::int as read, ordinal, ts, position
    from receipts join users using (user_key) join events on events.event_key = receipts.event_key
    where receipts.room_key = any(${rooms}::bigint[])
      and (position > ${after} or receipts.room_key = any(${newRooms}::bigint[]))
      and (receipts.type <> 'm.read.private' or receipts.user_key = ${userKey})`;
}

/** Of a room: after which position receipts are wanted, or, if all are news, of which events beside the user's own. */
export type ReceiptsAsked = {
  readonly roomKey: number;
  readonly after: Position | undefined;
  readonly eventKeys: readonly number[];
};

/** The receipts of rooms that a user may see, of each room those that are asked for. */
export async function receiptsAsked(
  db: Queryable,
  userKey: number,
  asked: readonly ReceiptsAsked[],
): Promise<readonly Receipt[]> {
  const eventKeys = asked.flatMap((it) => (it.after === undefined ? it.eventKeys : []));
  return await db<Receipt[]>`
    select receipts.room_key as "roomKey", receipts.user_key as "userKey", user_id as "userId",
      receipts.type, thread, event_id as "eventId", receipts.event_key as "eventKey",
      receipts.anchor - (receipts.anchor_offset < 0)::int as read, ordinal, ts, position
    from unnest(${asked.map((it) => it.roomKey)}::bigint[], ${asked.map((it) => it.after ?? null)}::bigint[])
      as asked (room_key, after)
    join receipts using (room_key) join users using (user_key)
    join events on events.event_key = receipts.event_key
    where (position > after or after is null
        and (receipts.user_key = ${userKey} or receipts.event_key = any(${eventKeys}::bigint[])))
      and (receipts.type <> 'm.read.private' or receipts.user_key = ${userKey})`;
}
