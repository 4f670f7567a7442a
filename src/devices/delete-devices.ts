import { devicesWithSettings, removeDeviceSettings } from "#src/account-data/device-settings.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { write, writeTogether } from "#src/streams/write.ts";
import type { DeviceOwner } from "./create-device.ts";
import { devicesStream } from "./devices-stream.ts";

/**
 * Deletes devices of a user, with their tokens, keys and messages. Those that are not there count as
 * deleted.
 *
 * @param except the ID of a device that stays all the same.
 * @param also asks at once for what else is written to the streams, and is committed with it.
 * @returns how many there were.
 */
export async function deleteDevices(
  hs: Homeserver,
  owner: DeviceOwner,
  deviceIds: readonly string[] | "all",
  { except, also }: Sparing = {},
): Promise<number> {
  if (deviceIds !== "all" && deviceIds.length === 0) return 0;
  const { userKey } = owner;
  const silenced = (await devicesWithSettings(hs, userKey)).filter(
    (it) => it !== except && (deviceIds === "all" || deviceIds.includes(it)),
  );
  return await writeTogether(hs, async () => {
    const [{ count }] = await Promise.all([
      write(hs, devicesStream, { kind: "delete", userKey, deviceIds, except }),
      also?.(),
      ...silenced.map(async (it) => await removeDeviceSettings(hs, userKey, it)),
    ]);
    return count;
  });
}

type Sparing = {
  readonly except?: string | undefined;
  readonly also?: () => Promise<unknown>;
};
