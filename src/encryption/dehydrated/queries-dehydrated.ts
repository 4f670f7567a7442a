import type { Queryable } from "#src/homeserver/database.ts";

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

/** Makes a device a dehydrated one. @returns false if there is no such device. */
export async function insertDehydrated(
  db: Queryable,
  { userKey, deviceKey }: { readonly userKey: number; readonly deviceKey: number },
  secrets: string,
): Promise<boolean> {
  const { count } = await db`
    insert into dehydrated_devices (device_key, user_key, secrets)
    select device_key, ${userKey}, ${secrets} from devices where device_key = ${deviceKey}
    for key share
    on conflict (device_key) do update set secrets = excluded.secrets`;
  return count > 0;
}
