import type { Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { KeyCount } from "./stored-write.ts";

export type OneTimeKeyRow = {
  readonly deviceKey: number;
  readonly algorithm: string;
  readonly keyId: string;
  readonly json: string;
};

/** Devices as they are before an upload: with their identity keys, if they have any. */
export async function devicesBefore(lane: Tx, deviceKeys: readonly number[]) {
  return await lane<{ deviceKey: number; json: string | null }[]>`
    select devices.device_key as "deviceKey", json from devices left join device_keys using (device_key)
    where devices.device_key = any(${deviceKeys}::bigint[])`;
}

/** Those of some one-time keys that are there already, or have been handed out. */
export async function oneTimeKeysIn(
  lane: Tx,
  table: "one_time_keys" | "claimed_keys",
  keys: readonly Omit<OneTimeKeyRow, "json">[],
): Promise<OneTimeKeyRow[]> {
  return await lane<OneTimeKeyRow[]>`
    select device_key as "deviceKey", algorithm, key_id as "keyId", json from ${lane(table)}
    join unnest(${keys.map((it) => it.deviceKey)}::bigint[], ${keys.map((it) => it.algorithm)}::text[],
      ${keys.map((it) => it.keyId)}::text[]) as wanted (device_key, algorithm, key_id)
      using (device_key, algorithm, key_id)`;
}

export async function fallbackKeysOf(
  lane: Tx,
  deviceKeys: readonly number[],
): Promise<OneTimeKeyRow[]> {
  return await lane<OneTimeKeyRow[]>`
    select device_key as "deviceKey", algorithm, key_id as "keyId", json from fallback_keys
    where device_key = any(${deviceKeys}::bigint[])`;
}

/** Forgets which keys of devices were handed out before a time. */
export async function forgetClaimed(
  lane: Tx,
  deviceKeys: readonly number[],
  before: UnixMs,
): Promise<void> {
  await lane`
    delete from claimed_keys
    where device_key = any(${deviceKeys}::bigint[]) and claimed_at_ms < ${before}`;
}

/** Forgets all that belonged to the identity that devices had before. */
export async function forgetIdentities(lane: Tx, deviceKeys: readonly number[]): Promise<void> {
  if (deviceKeys.length === 0) return;
  await Promise.all([
    lane`delete from one_time_keys where device_key = any(${deviceKeys}::bigint[])`,
    lane`delete from claimed_keys where device_key = any(${deviceKeys}::bigint[])`,
    lane`delete from fallback_keys where device_key = any(${deviceKeys}::bigint[])`,
    lane`delete from device_signatures where device_key = any(${deviceKeys}::bigint[])`,
  ]);
}

export async function upsertDeviceKeys(lane: Tx, keys: ReadonlyMap<number, string>): Promise<void> {
  if (keys.size === 0) return;
  await lane`
    insert into device_keys (device_key, json)
    select unnest(${[...keys.keys()]}::bigint[]), unnest(${[...keys.values()]}::text[])
    on conflict (device_key) do update set json = excluded.json`;
}

/** Stores one-time keys, to be handed out in this order. */
export async function insertOneTimeKeys(lane: Tx, rows: readonly OneTimeKeyRow[]): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into one_time_keys (device_key, algorithm, key_id, json)
    select device_key, algorithm, key_id, json from unnest(
      ${rows.map((it) => it.deviceKey)}::bigint[], ${rows.map((it) => it.algorithm)}::text[],
      ${rows.map((it) => it.keyId)}::text[], ${rows.map((it) => it.json)}::text[])
      with ordinality as new (device_key, algorithm, key_id, json, place)
    order by place`;
}

/** Stores fallback keys, unused. Each device and algorithm at most once. */
export async function upsertFallbackKeys(lane: Tx, rows: readonly OneTimeKeyRow[]): Promise<void> {
  if (rows.length === 0) return;
  await lane`
    insert into fallback_keys (device_key, algorithm, key_id, json, used)
    select device_key, algorithm, key_id, json, false from unnest(
      ${rows.map((it) => it.deviceKey)}::bigint[], ${rows.map((it) => it.algorithm)}::text[],
      ${rows.map((it) => it.keyId)}::text[], ${rows.map((it) => it.json)}::text[])
      as new (device_key, algorithm, key_id, json)
    on conflict (device_key, algorithm) do update
      set key_id = excluded.key_id, json = excluded.json, used = false`;
}

export async function countOneTimeKeys(
  lane: Tx,
  deviceKeys: readonly number[],
): Promise<KeyCount[]> {
  return await lane<KeyCount[]>`
    select device_key as "deviceKey", algorithm, count(*) as count from one_time_keys
    where device_key = any(${deviceKeys}::bigint[]) group by device_key, algorithm`;
}
