import type { DeviceOwner } from "#src/devices/create-device.ts";
import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { RoomId } from "#src/kit/identifiers.ts";

/** Accounts that have ended and rooms to leave, the next after one. */
export async function leavingAccounts(
  db: Queryable,
  afterKey: number,
): Promise<readonly DeviceOwner[]> {
  return await db<DeviceOwner[]>`
    select user_key as "userKey", user_id as "userId" from accounts join users using (user_key)
    where leaving_after is not null and user_key > ${afterKey} order by user_key limit 10`;
}

/** After which room an account goes on leaving; undefined if it has none to leave. */
export async function leavingAfter(db: Queryable, userKey: number): Promise<number | undefined> {
  const [row] = await db<{ after: number | null }[]>`
    select leaving_after as after from accounts where user_key = ${userKey}`;
  return row?.after ?? undefined;
}

type From = { readonly userKey: number; readonly after: number };

export async function roomsToLeave(
  db: Queryable,
  { userKey, after, limit }: From & { readonly limit: number },
): Promise<readonly { readonly roomKey: number; readonly roomId: RoomId }[]> {
  return await db<{ roomKey: number; roomId: RoomId }[]>`
    select room_key as "roomKey", room_id as "roomId" from memberships join rooms using (room_key)
    where user_key = ${userKey} and room_key > ${after} and ${isIn(db)}
    order by room_key limit ${limit}`;
}

/** Notes that the rooms up to one were left, unless it is to begin anew or another process was quicker. */
export async function noteLeft(
  db: Queryable,
  { userKey, after, upTo }: From & { readonly upTo: number },
): Promise<void> {
  await db`
    update accounts set leaving_after = ${upTo} where user_key = ${userKey} and leaving_after = ${after}`;
}

/** Notes that every room was gone through. @returns false if it is to go on at once, as another process was quicker. */
export async function endLeaving(db: Queryable, { userKey, after }: From): Promise<boolean> {
  const { count } = await db`
    update accounts set leaving_after = null where user_key = ${userKey} and leaving_after = ${after}`;
  return count > 0;
}

/**
 * Has accounts that ended after a time leave the rooms that they are still in, or in again: those that could not be left, and
 * those that they came to by what had been begun before.
 */
export async function leaveAgain(db: Queryable, endedSinceMs: UnixMs): Promise<void> {
  await db`
    update accounts set leaving_after = 0
    where deactivated_at_ms > ${endedSinceMs} and leaving_after is null and exists (
      select from memberships where memberships.user_key = accounts.user_key and ${isIn(db)})`;
}

/** Memberships that are left when an account ends. */
const isIn = (db: Queryable) => db`membership in ('join', 'invite', 'knock')`;
