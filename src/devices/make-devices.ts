import type { Tx } from "#src/homeserver/database.ts";
import { insertDevices, type MadeDevice, type NewDevice } from "./queries-devices.ts";

/** Makes, in the lane, those devices that are not there yet: for those of which more is stored in the same transaction. */
export async function makeDevices(
  lane: Tx,
  wanted: readonly NewDevice[],
): Promise<readonly MadeDevice[]> {
  return await insertDevices(lane, wanted);
}
