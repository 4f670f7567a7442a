import type { Homeserver } from "#src/homeserver/homeserver.ts";

export type DoorRow = {
  readonly room_key: number;
  readonly state_root: number;
  readonly is_ours: boolean;
};

/** The current states of rooms, and whether somebody of this server is in them. */
export async function readDoors(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<readonly DoorRow[]> {
  return await hs.sql<DoorRow[]>`
    select room_key, state_root, exists (
      select from memberships
      where memberships.room_key = rooms.room_key and membership = 'join' and local offset 0
    ) as is_ours
    from rooms where room_key = any(${roomKeys}::bigint[])`;
}
