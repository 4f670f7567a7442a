import type { Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";

export type NewDevice = {
  readonly userKey: number;
  readonly deviceId: string;
  readonly displayName: string | undefined;
};

export type MadeDevice = {
  readonly userKey: number;
  readonly deviceId: string;
  readonly deviceKey: number;
  /** False if it was there before. */
  readonly made: boolean;
};

/** Makes those devices that are not there yet. */
export async function insertDevices(lane: Tx, wanted: readonly NewDevice[]): Promise<MadeDevice[]> {
  if (wanted.length === 0) return [];
  return await lane<MadeDevice[]>`
    with wanted as (
      select distinct on (user_key, device_id) * from unnest(
        ${wanted.map((it) => it.userKey)}::bigint[], ${wanted.map((it) => it.deviceId)}::text[],
        ${wanted.map((it) => it.displayName ?? null)}::text[])
        as wanted (user_key, device_id, display_name)
    ), made as (
      insert into devices (user_key, device_id, display_name) select * from wanted
      on conflict (user_key, device_id) do nothing
      returning user_key, device_id, device_key
    )
    select user_key as "userKey", device_id as "deviceId", device_key as "deviceKey", true as made
    from made
    union all
    select user_key, device_id, device_key, false from devices join wanted using (user_key, device_id)`;
}

export type Renaming = {
  readonly userKey: number;
  readonly deviceId: string;
  readonly displayName: string;
};

type Renamed = {
  readonly userKey: number;
  readonly deviceId: string;
  readonly deviceKey: number;
};

/** Renames devices: at most one name for each. Returns those that are there. */
export async function renameDevices(lane: Tx, renamings: readonly Renaming[]): Promise<Renamed[]> {
  if (renamings.length === 0) return [];
  return await lane<Renamed[]>`
    update devices set display_name = renaming.display_name
    from unnest(${renamings.map((it) => it.userKey)}::bigint[],
      ${renamings.map((it) => it.deviceId)}::text[], ${renamings.map((it) => it.displayName)}::text[])
      as renaming (user_key, device_id, display_name)
    where devices.user_key = renaming.user_key and devices.device_id = renaming.device_id
    returning devices.user_key as "userKey", devices.device_id as "deviceId",
      devices.device_key as "deviceKey"`;
}

/** Devices to delete: the one with an ID, or all of the user. */
export type Deletion = {
  readonly position: Position;
  readonly userKey: number;
  /** Null for all devices. */
  readonly deviceId: string | null;
  /** The ID of one that stays all the same. */
  readonly except: string | null;
};

export type GoneDevice = { position: Position; userKey: number; deviceKey: number };

export type DeletedDevice = GoneDevice & {
  readonly deviceId: string;
  /** Whether it had published keys, so that others know of it. */
  readonly hadKeys: boolean;
};

/** How long, in positions, a deletion is remembered: twice as long as any process may be behind. */
const REMEMBERED_POSITIONS = 100_000;

/** Deletes devices and all that is theirs, and remembers for a while which they were. */
export async function deleteDeviceRows(
  lane: Tx,
  deletions: readonly Deletion[],
): Promise<DeletedDevice[]> {
  const [first] = deletions;
  if (!first) return [];
  const [deleted] = await Promise.all([
    lane<DeletedDevice[]>`
      with gone as (
        delete from devices using unnest(
          ${deletions.map((it) => it.position)}::bigint[], ${deletions.map((it) => it.userKey)}::bigint[],
          ${deletions.map((it) => it.deviceId)}::text[], ${deletions.map((it) => it.except)}::text[])
          as deletion (position, user_key, device_id, kept_id)
        where devices.user_key = deletion.user_key
          and (deletion.device_id is null or devices.device_id = deletion.device_id)
          and devices.device_id is distinct from deletion.kept_id
        returning deletion.position, devices.user_key, devices.device_key, devices.device_id
      ), remembered as (
        insert into device_deletions (position, user_key, device_key)
        select position, user_key, device_key from gone
      )
      select position, user_key as "userKey", gone.device_key as "deviceKey", device_id as "deviceId",
        device_keys.device_key is not null as "hadKeys"
      from gone left join device_keys using (device_key)`,
    lane`delete from device_deletions where position < ${first.position - REMEMBERED_POSITIONS}`,
  ]);
  return deleted;
}
