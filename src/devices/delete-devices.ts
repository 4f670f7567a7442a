import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { write } from "#src/streams/write.ts";
import type { DeviceOwner } from "./create-device.ts";
import { devicesStream } from "./devices-stream.ts";

/**
 * Deletes devices of a user, with their tokens, keys and messages. Those that are not there count as
 * deleted.
 *
 * @param except the ID of a device that stays all the same.
 * @returns how many there were.
 */
export async function deleteDevices(
  hs: Homeserver,
  owner: DeviceOwner,
  deviceIds: readonly string[] | "all",
  except?: string,
): Promise<number> {
  if (deviceIds !== "all" && deviceIds.length === 0) return 0;
  const { userKey } = owner;
  return (await write(hs, devicesStream, { kind: "delete", userKey, deviceIds, except })).count;
}
