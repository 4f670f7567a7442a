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

/** Makes a device a dehydrated one. @returns false if there is no such device, or somebody has logged in on it. */
export async function insertDehydrated(
  tx: Tx,
  { userKey, deviceKey }: { readonly userKey: number; readonly deviceKey: number },
  secrets: string,
): Promise<boolean> {
  // Who logs in locks the device as well: after this, what they have done is seen.
  await tx`select from devices where device_key = ${deviceKey} for no key update`;
  const { count } = await tx`
    insert into dehydrated_devices (device_key, user_key, secrets)
    select device_key, ${userKey}, ${secrets} from devices
    where device_key = ${deviceKey}
      and not exists (select from access_tokens where access_tokens.device_key = devices.device_key)
    on conflict (device_key) do update set secrets = excluded.secrets`;
  return count > 0;
}

/** Whether a device is a dehydrated one. */
export async function isDehydratedRow(db: Queryable, deviceKey: number): Promise<boolean> {
  const { count } = await db`select from dehydrated_devices where device_key = ${deviceKey}`;
  return count > 0;
}
