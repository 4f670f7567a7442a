import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { write } from "#src/streams/write.ts";
import { accountDataStream } from "./account-data-stream.ts";
import { NO_ROOM } from "./account-data.ts";
import { typesBeginning } from "./queries-account-data.ts";

/** Account data about how one device notifies, which only makes sense while there is the device (MSC3890). */
const PREFIX = "org.matrix.msc3890.local_notification_settings.";

/** The IDs of those devices of a user for which there are settings. */
export async function devicesWithSettings(
  hs: Homeserver,
  userKey: number,
): Promise<readonly string[]> {
  const types = await typesBeginning(hs.sql, userKey, PREFIX);
  return types.map((it) => it.slice(PREFIX.length));
}

/** Deletes the settings of a device. */
export async function removeDeviceSettings(
  hs: Homeserver,
  userKey: number,
  deviceId: string,
): Promise<void> {
  const type = `${PREFIX}${deviceId}`;
  await write(hs, accountDataStream, { userKey, roomKey: NO_ROOM, type, content: {} });
}
