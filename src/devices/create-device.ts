import { randomInt } from "node:crypto";
import type { Admission } from "#src/auth/admit-devices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { write } from "#src/streams/write.ts";
import { requireDeviceId, shortened } from "./device-name.ts";
import { devicesStream } from "./devices-stream.ts";

/** A user of this server. */
export type DeviceOwner = { readonly userKey: number; readonly userId: UserId };

/** What is said of a device that is to be made. */
export type WantedDevice = {
  readonly deviceId?: string | undefined;
  /** Only for a device that is new. */
  readonly displayName?: string | undefined;
};

/**
 * Makes a device of a user. If they have one of the ID, it goes on, with its name.
 *
 * @throws MatrixError M_INVALID_PARAM if no device can have the ID.
 */
export async function createDevice(
  hs: Homeserver,
  owner: DeviceOwner,
  wanted: WantedDevice = {},
): Promise<{ deviceKey: number; deviceId: string; isNew: boolean }> {
  const creation = creationOf(owner, wanted);
  const { deviceKey, count } = await write(hs, devicesStream, creation);
  if (deviceKey === undefined) throw new Error("a device was given no key");
  return { deviceKey, deviceId: creation.deviceId, isNew: count > 0 };
}

/**
 * The same for a user who logs in: the device and the tokens by which they are logged in on it are made together.
 *
 * @returns whether they are: not, if meanwhile the account has ended, or been locked or given another password, the log-in token has been
 *   used, or the device has been deleted; nor on a dehydrated device.
 * @throws MatrixError M_INVALID_PARAM if no device can have the ID.
 * @spec client-server-api#relationship-between-access-tokens-and-devices
 */
export async function enterDevice(
  hs: Homeserver,
  owner: DeviceOwner,
  wanted: WantedDevice,
  admission: Admission,
): Promise<{ readonly deviceId: string; readonly isIn: boolean }> {
  const creation = { ...creationOf(owner, wanted), admission };
  const { deviceKey } = await write(hs, devicesStream, creation);
  return { deviceId: creation.deviceId, isIn: deviceKey !== undefined };
}

function creationOf({ userKey }: DeviceOwner, wanted: WantedDevice) {
  const deviceId = wanted.deviceId ?? randomDeviceId();
  requireDeviceId(deviceId);
  const displayName = wanted.displayName && shortened(wanted.displayName);
  return { kind: "create", userKey, deviceId, displayName } as const;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Ten capital letters: people read them to each other when they compare devices. */
function randomDeviceId(): string {
  return Array.from({ length: 10 }, () => LETTERS[randomInt(LETTERS.length)]).join("");
}
