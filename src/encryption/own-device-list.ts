import { lastUpdateNumber } from "#src/devices/device-updates.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { localUserKey } from "./queries-keys.ts";
import { storedKeys } from "./stored-keys.ts";

/** A user's devices as other servers are told of them. */
type DeviceListForServers = {
  readonly user_id: UserId;
  /** The number of the last update that is certainly in it. */
  readonly stream_id: number;
  readonly devices: readonly {
    readonly device_id: string;
    readonly device_display_name?: string;
    readonly keys: object;
  }[];
  readonly master_key?: object;
  readonly self_signing_key?: object;
};

/**
 * The devices with keys of a user of this server, for another server.
 *
 * @throws MatrixError M_NOT_FOUND if there is no such user.
 * @spec server-server-api#get_matrixfederationv1userdevicesuserid
 */
export async function ownDeviceList(hs: Homeserver, userId: UserId): Promise<DeviceListForServers> {
  const userKey = await localUserKey(hs.sql, userId);
  if (userKey === undefined) throw new MatrixError("M_NOT_FOUND", "There is no such user");
  // Asked first: what changes meanwhile is in the list, and told of again.
  const stream_id = await lastUpdateNumber(hs.sql, userKey);
  const keys = await storedKeys(hs, new Map([[userId, []]]));
  const devices = Object.entries(keys.device_keys[userId] ?? {});
  const master = keys.master_keys[userId];
  const selfSigning = keys.self_signing_keys[userId];
  return {
    user_id: userId,
    stream_id,
    devices: devices.map(([device_id, its]) => ({ device_id, ...nameIn(its), keys: its })),
    ...(master && { master_key: master }),
    ...(selfSigning && { self_signing_key: selfSigning }),
  };
}

/** What a device is called, if that is told. */
function nameIn(keys: { readonly unsigned?: { readonly device_display_name?: string } }): {
  readonly device_display_name?: string;
} {
  const name = keys.unsigned?.device_display_name;
  return name === undefined ? {} : { device_display_name: name };
}
