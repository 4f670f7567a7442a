import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Change } from "#src/streams/stream.ts";

/** The name, in every `Change`, of the stream of device lists. */
export const DEVICE_LISTS = "device-lists";

/**
 * The detail of every change of the stream: whose devices or keys changed. One change is told to that
 * user, by its `userKey`, and one to each room that the user is joined to, by its `roomKey`. What
 * somebody has signed of another user's is told to the signer alone.
 */
export type DeviceListDetail = { readonly userKey: number };

/** A user whose devices or keys have changed, and at which position. */
export type DeviceListChange = { readonly userKey: number; readonly position: Position };

/** Records, in the lane, that the devices or keys of users have changed. */
export async function announceDeviceLists(
  lane: Tx,
  changed: readonly DeviceListChange[],
): Promise<readonly Change[]> {
  if (changed.length === 0) return [];
  const rows = await lane<Row[]>`
    with changed as (
      insert into device_lists (user_key, position)
      select user_key, max(position)
      from unnest(${changed.map((it) => it.userKey)}::bigint[], ${changed.map((it) => it.position)}::bigint[])
        as new (user_key, position)
      group by user_key
      on conflict (user_key) do update set position = excluded.position
      returning user_key, position
    )
    select changed.user_key, changed.position, room_key
    from changed left join memberships
      on memberships.user_key = changed.user_key and membership = 'join'`;
  return changesOf(rows);
}

/** The changes of the stream in a range. Of several of one user, the last. */
export async function deviceListChanges(
  sql: Queryable,
  after: Position,
  upTo: Position,
): Promise<readonly Change[]> {
  const rows = await sql<Row[]>`
    select device_lists.user_key, device_lists.position, room_key
    from device_lists left join memberships
      on memberships.user_key = device_lists.user_key and membership = 'join'
    where device_lists.position > ${after} and device_lists.position <= ${upTo}`;
  return changesOf(rows);
}

type Row = { user_key: number; position: Position; room_key: number | null };

/** Changes to be told to the users themselves and to their rooms. */
function changesOf(rows: readonly Row[]): Change[] {
  const users = new Map(rows.map((row) => [row.user_key, row.position]));
  const detailOf = (userKey: number): DeviceListDetail => ({ userKey });
  const own = [...users].map(([userKey, position]) => ({
    position,
    stream: DEVICE_LISTS,
    userKey,
    detail: detailOf(userKey),
  }));
  const ofRooms = rows.flatMap((row) =>
    row.room_key === null
      ? []
      : [
          {
            position: row.position,
            stream: DEVICE_LISTS,
            roomKey: row.room_key,
            detail: detailOf(row.user_key),
          },
        ],
  );
  return [...own, ...ofRooms];
}
