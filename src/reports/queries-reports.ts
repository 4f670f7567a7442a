import type { Queryable } from "#src/homeserver/database.ts";
import type { EventId, RoomId, UserId } from "#src/kit/identifiers.ts";

export type Report = {
  readonly reporterKey: number;
  readonly roomId?: RoomId;
  readonly eventId?: EventId;
  readonly userId?: UserId;
  readonly reason: string | undefined;
  readonly receivedMs: number;
};

export async function insertReport(db: Queryable, it: Report): Promise<void> {
  await db`
    insert into reports (reporter_key, room_id, event_id, user_id, reason, received_ms)
    values (${it.reporterKey}, ${it.roomId ?? null}, ${it.eventId ?? null}, ${it.userId ?? null},
      ${it.reason ?? null}, ${it.receivedMs})`;
}

/** @returns how many went. */
export async function deleteReports(
  db: Queryable,
  { olderThanMs, limit }: { readonly olderThanMs: number; readonly limit: number },
): Promise<number> {
  const gone = await db`
    delete from reports where report_key in (
      select report_key from reports where received_ms < ${olderThanMs} limit ${limit})`;
  return gone.count;
}
