import type { Queryable, Tx } from "#src/homeserver/database.ts";

export type DehydratedRow = {
  readonly deviceKey: number;
  readonly deviceId: string;
  /** JSON. */
  readonly secrets: string;
};

/** The dehydrated devices of a user, the newest first. */
export async function dehydratedOf(
  db: Queryable,
  userKey: number,
): Promise<readonly DehydratedRow[]> {
  return await db<DehydratedRow[]>`
    select device_key as "deviceKey", device_id as "deviceId", secrets
    from dehydrated_devices join devices using (device_key)
    where dehydrated_devices.user_key = ${userKey} order by device_key desc`;
}

/** Those of some devices that are dehydrated ones, by their keys. */
export async function dehydratedAmong(
  lane: Tx,
  deviceKeys: readonly number[],
): Promise<readonly number[]> {
  const rows = await lane<{ device_key: number }[]>`
    select device_key from dehydrated_devices where device_key = any(${deviceKeys}::bigint[])`;
  return rows.map((it) => it.device_key);
}

/** Stores the secrets of dehydrated devices, by their keys. */
export async function upsertDehydrated(
  lane: Tx,
  devices: ReadonlyMap<number, { readonly userKey: number; readonly secrets: string }>,
): Promise<void> {
  if (devices.size === 0) return;
  const its = [...devices.values()];
  await lane`
    insert into dehydrated_devices (device_key, user_key, secrets)
    select unnest(${[...devices.keys()]}::bigint[]), unnest(${its.map((it) => it.userKey)}::bigint[]),
      unnest(${its.map((it) => it.secrets)}::text[])
    on conflict (device_key) do update set secrets = excluded.secrets`;
}
