import { deleteDevices } from "#src/devices/delete-devices.ts";
import { requireDeviceId, shortened } from "#src/devices/device-name.ts";
import { readQueue, type ToDeviceEvent } from "#src/devices/to-device-queue.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { tailOf } from "#src/streams/tail.ts";
import { write } from "#src/streams/write.ts";
import { encryptionStream } from "../encryption-stream.ts";
import type { KeyUpload } from "../key-schemas.ts";
import { uploadOf } from "../upload-keys.ts";
import { dehydratedOf } from "./queries-dehydrated.ts";

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

/**
 * Keeps a device that gets what is sent to the user while nobody is logged in, in place of the one before: all of it, or
 * nothing if part of it is refused.
 *
 * @throws MatrixError M_INVALID_PARAM if no device can have the ID, or somebody is logged in on that; M_TOO_LARGE; and what
 *   `uploadKeys` throws.
 */
export async function dehydrateDevice(
  hs: Homeserver,
  requester: Requester,
  { deviceId, displayName, keys, ...wanted }: NewDehydratedDevice,
): Promise<void> {
  const { userKey, userId } = requester;
  const secrets = JSON.stringify(wanted.secrets);
  if (secrets.length > LONGEST_SECRETS) {
    throw new MatrixError("M_TOO_LARGE", `A device has at most ${LONGEST_SECRETS} characters`);
  }
  requireDeviceId(deviceId);
  const before = await dehydratedOf(hs.sql, userKey);
  await write(hs, encryptionStream, {
    kind: "dehydrate",
    userKey,
    deviceId,
    displayName: displayName && shortened(displayName),
    secrets,
    upload: uploadOf({ userId, userKey, deviceId, deviceKey: 0 }, keys),
  });
  // Should that not be done, the newest is the one that counts, and these go with the next.
  const others = before.map((it) => it.deviceId).filter((it) => it !== deviceId);
  await deleteDevices(hs, requester, others);
  hs.log.info({ userId, deviceId }, "keeps a dehydrated device");
}

/** Whether nobody can be logged in on a device of a user, as it is a dehydrated one. */
export async function isDehydrated(
  hs: Homeserver,
  userKey: number,
  deviceId: string,
): Promise<boolean> {
  return (await dehydratedOf(hs.sql, userKey)).some((it) => it.deviceId === deviceId);
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
