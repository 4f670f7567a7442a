import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";

/** A room that guests are in, and the state that it has. */
export type GuestRoom = {
  readonly roomKey: number;
  readonly roomId: RoomId;
  readonly root: number;
};

/** The shortest wait before guests who could not be made to leave are made to again; the longer it takes, the longer the waits. */
const FIRST_RETRY_MS = 60_000;
const WAIT_SHARE = 0.25;

/** Those rooms of which it is not known yet whether their state lets guests in, or whether those are out that it does not. */
export async function guestRoomsToLookAt(
  db: Queryable,
  { now, most }: { readonly now: UnixMs; readonly most: number },
): Promise<readonly GuestRoom[]> {
  return await db<GuestRoom[]>`
    select distinct room_key as "roomKey", room_id as "roomId", state_root as root
    from accounts join memberships using (user_key) join rooms using (room_key)
    left join guest_rooms using (room_key)
    where is_guest and membership = 'join' and (state_root is distinct from looked_at or due_ms <= ${now})
    limit ${most}`;
}

export async function guestsIn(
  db: Queryable,
  roomKey: number,
): Promise<readonly { readonly userKey: number; readonly userId: UserId }[]> {
  return await db<{ userKey: number; userId: UserId }[]>`
    select user_key as "userKey", user_id as "userId"
    from memberships join accounts using (user_key) join users using (user_key)
    where room_key = ${roomKey} and membership = 'join' and is_guest`;
}

/**
 * Records that the guests of rooms are those whom a state lets in.
 *
 * @param stuck the keys of those rooms of which some guests cannot be made to leave now: that is tried again.
 */
export async function noteLookedAt(
  db: Queryable,
  rooms: readonly GuestRoom[],
  { now, stuck }: { readonly now: UnixMs; readonly stuck: ReadonlySet<number> },
): Promise<void> {
  await db`
    insert into guest_rooms (room_key, looked_at, stuck_since_ms, due_ms)
    select room_key, root, since, since + ${FIRST_RETRY_MS}
    from unnest(
      ${rooms.map((it) => it.roomKey)}::bigint[], ${rooms.map((it) => it.root)}::bigint[],
      ${rooms.map((it) => (stuck.has(it.roomKey) ? now : null))}::bigint[]) as new (room_key, root, since)
    on conflict (room_key) do update set looked_at = excluded.looked_at,
      stuck_since_ms = case when excluded.due_ms is not null
        then coalesce(guest_rooms.stuck_since_ms, excluded.stuck_since_ms) end,
      due_ms = excluded.stuck_since_ms + greatest(${FIRST_RETRY_MS},
        ${WAIT_SHARE}::float8 * (excluded.stuck_since_ms - guest_rooms.stuck_since_ms))::bigint`;
}

/** Forgets rooms that guests are in no more. */
export async function forgetGuestRooms(db: Queryable): Promise<void> {
  await db`
    delete from guest_rooms where not exists (
      select from memberships join accounts using (user_key)
      where memberships.room_key = guest_rooms.room_key and membership = 'join' and is_guest)`;
}
