import type { Queryable } from "#src/homeserver/database.ts";
import type { UserId } from "#src/kit/identifiers.ts";

export type KeyedDevice = {
  readonly userKey: number;
  readonly deviceId: string;
  readonly displayName: string | null;
  readonly json: string;
};

export type PublishedDevice = KeyedDevice & { readonly deviceKey: number };

/** Devices of users that have published keys. */
export async function publishedDevices(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<PublishedDevice[]> {
  return await sql<PublishedDevice[]>`
    select device_key as "deviceKey", user_key as "userKey", device_id as "deviceId",
      display_name as "displayName", json
    from devices join device_keys using (device_key)
    where user_key = any(${userKeys}::bigint[])`;
}

/** Devices of users of other servers, as far as we have been told of them. */
export async function remoteDevices(
  sql: Queryable,
  userKeys: readonly number[],
): Promise<KeyedDevice[]> {
  if (userKeys.length === 0) return [];
  return await sql<KeyedDevice[]>`
    select user_key as "userKey", device_id as "deviceId", display_name as "displayName", json
    from remote_devices where user_key = any(${userKeys}::bigint[])`;
}

/** The key of a user of this server; undefined if there is no such user. */
export async function localUserKey(sql: Queryable, userId: UserId): Promise<number | undefined> {
  const [row] = await sql<{ user_key: number }[]>`
    select user_key from users join accounts using (user_key) where user_id = ${userId}`;
  return row?.user_key;
}

export type KeySignatureRow = {
  readonly signerKey: number;
  readonly keyId: string;
  readonly signature: string;
};

/** Signatures that were added to devices. */
export async function signaturesOnDevices(sql: Queryable, deviceKeys: readonly number[]) {
  return await sql<(KeySignatureRow & { deviceKey: number })[]>`
    select device_key as "deviceKey", signer_key as "signerKey", key_id as "keyId", signature
    from device_signatures where device_key = any(${deviceKeys}::bigint[])`;
}

/** Signatures that were added to users' keys: those by the owner, and those by the one who asks. */
export async function signaturesOnUsers(
  sql: Queryable,
  userKeys: readonly number[],
  readerKey: number | undefined,
) {
  return await sql<(KeySignatureRow & { userKey: number; usage: string })[]>`
    select user_key as "userKey", usage, signer_key as "signerKey", key_id as "keyId", signature
    from cross_signing_signatures
    where user_key = any(${userKeys}::bigint[])
      and (signer_key = user_key or signer_key = ${readerKey ?? null}::bigint)`;
}

/** The keys of devices, by their users and IDs. */
export async function findDevices(
  sql: Queryable,
  wanted: readonly { readonly userKey: number; readonly deviceId: string }[],
) {
  return await sql<{ deviceKey: number; userKey: number; deviceId: string }[]>`
    select device_key as "deviceKey", user_key as "userKey", device_id as "deviceId" from devices
    join unnest(${wanted.map((it) => it.userKey)}::bigint[], ${wanted.map((it) => it.deviceId)}::text[])
      as wanted (user_key, device_id) using (user_key, device_id)`;
}
