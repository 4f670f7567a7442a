import type { Queryable } from "#src/homeserver/database.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";

/** A room that guests are in, and the state that it has. */
export type GuestRoom = {
  readonly roomKey: number;
  readonly roomId: RoomId;
  readonly root: number;
};

/** Those rooms of which it is not known yet whether their state lets guests in. */
export async function guestRoomsToLookAt(
  db: Queryable,
  most: number,
): Promise<readonly GuestRoom[]> {
  return await db<GuestRoom[]>`
    select distinct room_key as "roomKey", room_id as "roomId", state_root as root
    from accounts join memberships using (user_key) join rooms using (room_key)
    left join guest_rooms using (room_key)
    where is_guest and membership = 'join' and state_root is distinct from looked_at
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

/** Records that the guests of rooms are those whom a state lets in. */
export async function noteLookedAt(db: Queryable, rooms: readonly GuestRoom[]): Promise<void> {
  await db`
    insert into guest_rooms (room_key, looked_at)
    select unnest(${rooms.map((it) => it.roomKey)}::bigint[]), unnest(${rooms.map((it) => it.root)}::bigint[])
    on conflict (room_key) do update set looked_at = excluded.looked_at`;
}

/** Forgets rooms that guests are in no more. */
export async function forgetGuestRooms(db: Queryable): Promise<void> {
  await db`
    delete from guest_rooms where not exists (
      select from memberships join accounts using (user_key)
      where memberships.room_key = guest_rooms.room_key and membership = 'join' and is_guest)`;
}
