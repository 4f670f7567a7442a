import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { RoomId, ServerName, UserId } from "#src/kit/identifiers.ts";

/** A user of ours and a room of others, out of which they are. */
export type UntoldLeave = {
  readonly userId: UserId;
  readonly roomId: RoomId;
  /** Those that may be told, the likeliest first. */
  readonly servers: readonly ServerName[];
  /** Why they left, for people to read. */
  readonly reason: string | null;
  /** The member event by which the user was in the room, or invited, when they left. Null if their leaving is known here. */
  readonly eventKey: number | null;
};

/** Of how many servers that were to be told before it stays known. */
const MOST_KEPT = 10;

export type UntoldRow = UntoldLeave & { readonly failures: number; readonly sinceMs: UnixMs };

/** Writes down that servers are to be told, beside those that are to be told already: the newest first. */
export async function noteUntold(
  db: Queryable,
  { userId, roomId, servers, reason, eventKey }: UntoldLeave,
  { now, dueMs }: { readonly now: UnixMs; readonly dueMs: UnixMs },
): Promise<void> {
  await db`
    insert into untold_leaves (user_id, room_id, servers, reason, event_key, since_ms, due_ms)
    values (${userId}, ${roomId}, ${servers}::text[], ${reason}, ${eventKey}::bigint, ${now}, ${dueMs})
    on conflict (user_id, room_id) do update set reason = excluded.reason,
      servers = excluded.servers || array(
        select it from unnest(untold_leaves.servers) as it where it <> all(excluded.servers)
        limit ${MOST_KEPT}),
      event_key = excluded.event_key, since_ms = excluded.since_ms, due_ms = excluded.due_ms, failures = 0`;
}

/** Whether servers are to be told of a user who is out of a room. */
export async function isUntold(
  db: Queryable,
  { userId, roomId }: Pick<UntoldLeave, "userId" | "roomId">,
): Promise<boolean> {
  const { count } = await db`
    select from untold_leaves where user_id = ${userId} and room_id = ${roomId}`;
  return count > 0;
}

/** Takes in hand what is due: nobody else tries it for a while. */
export async function claimUntold(
  db: Queryable,
  { now, most, leaseMs }: { now: UnixMs; most: number; leaseMs: number },
): Promise<readonly UntoldRow[]> {
  return await db<UntoldRow[]>`
    update untold_leaves set due_ms = ${now + leaseMs}
    where (user_id, room_id) in (
      select user_id, room_id from untold_leaves where due_ms <= ${now}
      order by due_ms limit ${most} for update skip locked)
    returning user_id as "userId", room_id as "roomId", servers, reason, event_key as "eventKey",
      failures, since_ms as "sinceMs"`;
}

export async function putOffUntold(
  db: Queryable,
  { userId, roomId }: Pick<UntoldLeave, "userId" | "roomId">,
  dueMs: UnixMs,
): Promise<void> {
  await db`
    update untold_leaves set failures = failures + 1, due_ms = ${dueMs}
    where user_id = ${userId} and room_id = ${roomId}`;
}

export async function forgetUntold(
  db: Queryable,
  { userId, roomId }: Pick<UntoldLeave, "userId" | "roomId">,
): Promise<void> {
  await db`delete from untold_leaves where user_id = ${userId} and room_id = ${roomId}`;
}
