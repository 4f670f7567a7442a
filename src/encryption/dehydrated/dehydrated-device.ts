import { createDevice } from "#src/devices/create-device.ts";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import { readQueue, type ToDeviceEvent } from "#src/devices/to-device-queue.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { tailOf } from "#src/streams/tail.ts";
import type { KeyUpload } from "../key-schemas.ts";
import { uploadKeys } from "../upload-keys.ts";
import { dehydratedOf, insertDehydrated, isDehydratedRow } from "./queries-dehydrated.ts";

/** The most that the secrets of a device may take, in characters. */
const LONGEST_SECRETS = 1024 * 1024;

/** A device that nobody is logged in on, as its user gives it here. */
export type NewDehydratedDevice = {
  readonly deviceId: string;
  readonly displayName: string | undefined;
  /** Encrypted; for the user's clients alone. */
  readonly secrets: object;
  readonly keys: KeyUpload;
};

/** How often it is begun anew, should another request take the device away meanwhile. */
const MOST_TRIES = 3;

/**
 * Keeps a device that gets what is sent to the user while nobody is logged in, in place of the one before.
 *
 * @throws MatrixError M_INVALID_PARAM if the ID is that of a device that is logged in; M_TOO_LARGE; M_UNKNOWN (409) if
 *   others keep taking it away; and what `createDevice` and `uploadKeys` throw.
 */
export async function dehydrateDevice(
  hs: Homeserver,
  requester: Requester,
  wanted: NewDehydratedDevice,
): Promise<void> {
  const secrets = JSON.stringify(wanted.secrets);
  if (secrets.length > LONGEST_SECRETS) {
    throw new MatrixError("M_TOO_LARGE", `A device has at most ${LONGEST_SECRETS} characters`);
  }
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    if (await isKept(hs, requester, wanted, secrets)) return;
  }
  throw new MatrixError("M_UNKNOWN", "Your dehydrated device is taken away by others", {
    status: 409,
  });
}

/** @returns false if the device has been deleted meanwhile. */
async function isKept(
  hs: Homeserver,
  requester: Requester,
  { deviceId, displayName, keys }: NewDehydratedDevice,
  secrets: string,
): Promise<boolean> {
  const { userKey } = requester;
  const before = await dehydratedOf(hs.sql, userKey);
  const { deviceKey, isNew } = await createDevice(hs, requester, { deviceId, displayName });
  if (!isNew && !before.some((it) => it.deviceKey === deviceKey)) {
    throw new MatrixError("M_INVALID_PARAM", "You are logged in on a device of this ID");
  }
  try {
    await uploadKeys(hs, { ...requester, deviceId, deviceKey }, keys);
  } catch (error) {
    // That is said of the device, and not of the one that asks.
    if (error instanceof MatrixError && error.errcode === "M_UNKNOWN_TOKEN") return false;
    if (isNew) await deleteDevices(hs, requester, [deviceId]);
    throw error;
  }
  const device = { userKey, deviceKey };
  const isStored = await hs.sql.begin(async (tx) => await insertDehydrated(tx, device, secrets));
  if (!isStored) return false;
  const others = before.map((it) => it.deviceId).filter((it) => it !== deviceId);
  await deleteDevices(hs, requester, others);
  hs.log.info({ userId: requester.userId, deviceId }, "keeps a dehydrated device");
  return true;
}

/** Whether nobody can be logged in on a device, as it is a dehydrated one. */
export async function isDehydrated(hs: Homeserver, deviceKey: number): Promise<boolean> {
  return await isDehydratedRow(hs.sql, deviceKey);
}

/** The dehydrated device of a user, as JSON that is its secrets. @throws MatrixError M_NOT_FOUND */
export async function dehydratedDevice(
  hs: Homeserver,
  { userKey }: Requester,
): Promise<{ readonly deviceId: string; readonly secrets: string }> {
  const [newest] = await dehydratedOf(hs.sql, userKey);
  if (!newest) throw new MatrixError("M_NOT_FOUND", "You have no dehydrated device");
  return newest;
}

/** Deletes a user's dehydrated device. @returns its ID. @throws MatrixError M_NOT_FOUND */
export async function deleteDehydratedDevice(
  hs: Homeserver,
  requester: Requester,
): Promise<string> {
  const all = await dehydratedOf(hs.sql, requester.userKey);
  const [newest] = all;
  if (!newest) throw new MatrixError("M_NOT_FOUND", "You have no dehydrated device");
  await deleteDevices(
    hs,
    requester,
    all.map((it) => it.deviceId),
  );
  return newest.deviceId;
}

/** What was sent to a dehydrated device, a part at a time. */
export type DehydratedEvents = {
  readonly events: readonly ToDeviceEvent[];
  /** Up to where this is all. */
  readonly upTo: Position;
  readonly isAll: boolean;
};

/**
 * What was sent to a user's dehydrated device. Reading takes nothing away: the messages go with the device.
 *
 * @throws MatrixError M_FORBIDDEN if the ID is not that of the dehydrated device.
 */
export async function dehydratedEvents(
  hs: Homeserver,
  { userKey }: Requester,
  { deviceId, after }: { readonly deviceId: string; readonly after: Position },
): Promise<DehydratedEvents> {
  const [newest] = await dehydratedOf(hs.sql, userKey);
  if (newest?.deviceId !== deviceId) {
    throw new MatrixError("M_FORBIDDEN", "This is not your dehydrated device");
  }
  const upTo = Math.max(after, tailOf(hs).position);
  const { events, cutAt } = await readQueue(hs, newest.deviceKey, { after, upTo });
  return { events, upTo: cutAt ?? upTo, isAll: cutAt === undefined };
}
