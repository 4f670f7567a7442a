import type { Queryable } from "#src/homeserver/database.ts";
import type { RoomId } from "#src/kit/identifiers.ts";

/** A room whose members another lets in, and what is known here of one user. */
export type AllowedRoom = {
  /** Whether we are in it and know all of its members, so that whoever is not among them is not in it. */
  readonly isKnown: boolean;
  readonly isIn: boolean;
};

/** Those of some rooms of which anything is known. @param userKey null of a user of whom nothing is. */
export async function allowedRoomsOf(
  db: Queryable,
  roomIds: readonly RoomId[],
  userKey: number | null,
): Promise<readonly AllowedRoom[]> {
  return await db<AllowedRoom[]>`
    select is_resident and not is_partial as "isKnown", is_resident and exists (
      select from memberships where memberships.room_key = rooms.room_key
        and memberships.user_key = ${userKey}::bigint and membership = 'join') as "isIn"
    from rooms cross join lateral (
      select exists (select from memberships where memberships.room_key = rooms.room_key
        and membership = 'join' and local offset 0) as is_resident) as ours
    where room_id = any(${roomIds}::text[])`;
}
