import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

type DoorRow = {
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
      where memberships.room_key = rooms.room_key and membership = 'join' and local
    ) as is_ours
    from rooms where room_key = any(${roomKeys}::bigint[])`;
}

/** Whether somebody of a server is in a room. */
export async function isServerIn(
  hs: Homeserver,
  roomKey: number,
  server: ServerName,
): Promise<boolean> {
  const [row] = await hs.sql<{ is_in: boolean }[]>`
    select exists (
      select from memberships join users using (user_key)
      where room_key = ${roomKey} and membership = 'join'
        and substring(user_id from position(':' in user_id) + 1) = ${server}
    ) as is_in`;
  return row?.is_in === true;
}
