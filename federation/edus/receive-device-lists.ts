import type { z } from "zod";
import { applyRemoteChanges } from "#src/encryption/remote/apply-changes.ts";
import {
  readRemoteDevice,
  readRemoteKeys,
  type RemoteChange,
} from "#src/encryption/remote/remote-list.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { type DeviceListContent, isOf, type SigningKeyContent } from "./edu-schemas.ts";

type Told = {
  readonly devices: readonly z.infer<typeof DeviceListContent>[];
  readonly keys: readonly z.infer<typeof SigningKeyContent>[];
};

/**
 * Takes in what has become of the devices and the cross-signing keys of a server's users.
 *
 * @spec server-server-api#device-management
 */
export async function receiveDeviceLists(
  hs: Homeserver,
  origin: ServerName,
  { devices, keys }: Told,
): Promise<void> {
  const changes = new Map<UserId, RemoteChange[]>();
  const add = (userId: UserId, change: RemoteChange) => {
    const its = changes.get(userId);
    if (its) its.push(change);
    else changes.set(userId, [change]);
  };
  for (const it of devices) if (isOf(origin, it.user_id)) add(it.user_id, deviceChange(it));
  for (const { user_id, master_key: master, self_signing_key: selfSigning } of keys) {
    if (!isOf(origin, user_id)) continue;
    add(user_id, { kind: "keys", keys: readRemoteKeys(user_id, { master, selfSigning }) });
  }
  if (changes.size > 0) await applyRemoteChanges(hs, changes);
}

function deviceChange({
  user_id,
  device_id: deviceId,
  device_display_name: name,
  keys,
  ...about
}: Told["devices"][number]): RemoteChange {
  const device = about.deleted ? undefined : readRemoteDevice(user_id, deviceId, { keys, name });
  const { stream_id: streamId, prev_id } = about;
  return { kind: "device", streamId, prevIds: prev_id ?? [], deviceId, device };
}
