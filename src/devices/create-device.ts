import { randomInt } from "node:crypto";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { write } from "#src/streams/write.ts";
import { requireDeviceId, shortened } from "./device-name.ts";
import { devicesStream } from "./devices-stream.ts";

/** A user of this server. */
export type DeviceOwner = { readonly userKey: number; readonly userId: UserId };

/**
 * Makes a device of a user who logs in. If they have one of the ID, it goes on, with its name.
 *
 * @throws MatrixError M_INVALID_PARAM if no device can have the ID.
 * @spec client-server-api#relationship-between-access-tokens-and-devices
 */
export async function createDevice(
  hs: Homeserver,
  owner: DeviceOwner,
  wanted: {
    readonly deviceId?: string | undefined;
    readonly displayName?: string | undefined;
  } = {},
): Promise<{ deviceKey: number; deviceId: string; isNew: boolean }> {
  const deviceId = wanted.deviceId ?? randomDeviceId();
  requireDeviceId(deviceId);
  const { deviceKey, count } = await write(hs, devicesStream, {
    kind: "create",
    userKey: owner.userKey,
    deviceId,
    displayName: wanted.displayName && shortened(wanted.displayName),
  });
  if (deviceKey === undefined) throw new Error("a device was given no key");
  return { deviceKey, deviceId, isNew: count > 0 };
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Ten capital letters: people read them to each other when they compare devices. */
function randomDeviceId(): string {
  return Array.from({ length: 10 }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}
