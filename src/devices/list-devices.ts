import { writeSightings } from "#src/auth/last-seen.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { write } from "#src/streams/write.ts";
import type { DeviceOwner } from "./create-device.ts";
import { requireName } from "./device-name.ts";
import { devicesStream } from "./devices-stream.ts";

/** A device as its user sees it, as it goes over the wire. */
export type ClientDevice = {
  readonly device_id: string;
  readonly display_name?: string;
  readonly last_seen_ip?: string;
  /** Milliseconds since the epoch. */
  readonly last_seen_ts?: number;
};

/**
 * A user's devices, those that were made first first, and when each was seen last: by this process up to now, by others up to
 * a minute ago.
 *
 * @param deviceId if given, of that one only.
 * @spec client-server-api#get_matrixclientv3devices
 */
export async function listDevices(
  hs: Homeserver,
  { userKey }: Pick<DeviceOwner, "userKey">,
  deviceId?: string,
): Promise<ClientDevice[]> {
  await writeSightings(hs);
  const rows = await hs.sql<Row[]>`
    select device_id, display_name, last_seen_ip, last_seen_ms from devices
    where user_key = ${userKey} and device_id = coalesce(${deviceId ?? null}::text, device_id)
    order by device_key`;
  return rows.map((row) => ({
    device_id: row.device_id,
    ...(row.display_name !== null && { display_name: row.display_name }),
    ...(row.last_seen_ip !== null && { last_seen_ip: row.last_seen_ip }),
    ...(row.last_seen_ms !== null && { last_seen_ts: row.last_seen_ms }),
  }));
}

/** From where a device was last used, by what, and when: null if it never was, or not since that is noted. */
export type LastSeen = {
  readonly deviceId: string;
  readonly ip: string | null;
  readonly atMs: number | null;
  readonly userAgent: string | null;
};

/** From where a user's devices were last used, those that were made first first. */
export async function devicesLastSeen(
  hs: Homeserver,
  { userKey }: Pick<DeviceOwner, "userKey">,
): Promise<readonly LastSeen[]> {
  await writeSightings(hs);
  return await hs.sql<LastSeen[]>`
    select device_id as "deviceId", last_seen_ip as ip, last_seen_ms as "atMs",
      last_seen_agent as "userAgent"
    from devices where user_key = ${userKey} order by device_key`;
}

type Row = {
  device_id: string;
  display_name: string | null;
  last_seen_ip: string | null;
  last_seen_ms: number | null;
};

/**
 * One device of a user.
 *
 * @throws MatrixError M_NOT_FOUND
 * @spec client-server-api#get_matrixclientv3devicesdeviceid
 */
export async function getDevice(
  hs: Homeserver,
  owner: Pick<DeviceOwner, "userKey">,
  deviceId: string,
): Promise<ClientDevice> {
  const [device] = await listDevices(hs, owner, deviceId);
  if (!device) throw unknownDevice();
  return device;
}

/**
 * Gives a device another name, or none if it is undefined: then only whether the device is there is
 * found out.
 *
 * @throws MatrixError M_NOT_FOUND; M_INVALID_PARAM if the name is too long.
 * @spec client-server-api#put_matrixclientv3devicesdeviceid
 */
export async function renameDevice(
  hs: Homeserver,
  { userKey }: Pick<DeviceOwner, "userKey">,
  {
    deviceId,
    displayName,
  }: { readonly deviceId: string; readonly displayName: string | undefined },
): Promise<void> {
  if (displayName === undefined) {
    await getDevice(hs, { userKey }, deviceId);
    return;
  }
  requireName(displayName);
  const renaming = { kind: "rename", userKey, deviceId, displayName } as const;
  if ((await write(hs, devicesStream, renaming)).count === 0) throw unknownDevice();
}

function unknownDevice(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "You have no device with this ID");
}
