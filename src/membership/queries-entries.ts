import type { Queryable } from "#src/homeserver/database.ts";
import type { RoomId } from "#src/kit/identifiers.ts";

/** A room that is being entered from outside, and by which name whoever does is known. */
export type Entry = { readonly roomId: RoomId; readonly holder: string };

// By the database's clock: it is the same for all processes.

/** Begins to enter a room. @returns whether nobody else is about it. */
export async function mayEnter(
  db: Queryable,
  { roomId, holder }: Entry,
  leaseMs: number,
): Promise<boolean> {
  const rows = await db`
    insert into room_entries as known (room_id, holder, until_ms)
    values (${roomId}, ${holder}, (extract(epoch from clock_timestamp()) * 1000)::bigint + ${leaseMs})
    on conflict (room_id) do update set holder = excluded.holder, until_ms = excluded.until_ms
    where known.until_ms < (extract(epoch from clock_timestamp()) * 1000)::bigint
    returning room_id`;
  return rows.length > 0;
}

export async function renewEntry(
  db: Queryable,
  { roomId, holder }: Entry,
  leaseMs: number,
): Promise<void> {
  await db`
    update room_entries set until_ms = (extract(epoch from clock_timestamp()) * 1000)::bigint + ${leaseMs}
    where room_id = ${roomId} and holder = ${holder}`;
}

/** Ends it, and what others did not come to end. */
export async function endEntry(db: Queryable, { roomId, holder }: Entry): Promise<void> {
  await db`
    delete from room_entries where room_id = ${roomId} and holder = ${holder}
      or until_ms < (extract(epoch from clock_timestamp()) * 1000)::bigint`;
}

/** Whether any of some rooms is being entered. */
export async function entriesUnderWay(db: Queryable, roomIds: readonly RoomId[]): Promise<boolean> {
  const rows = await db`
    select from room_entries where room_id = any(${roomIds}::text[])
      and until_ms >= (extract(epoch from clock_timestamp()) * 1000)::bigint limit 1`;
  return rows.length > 0;
}
