import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import { announceDeviceLists, type DeviceListChange } from "./device-lists.ts";
import { type DeviceUpdate, recordDeviceUpdates } from "./device-updates.ts";
import {
  type DeletedDevice,
  deleteDeviceRows,
  type Deletion,
  type GoneDevice,
  insertDevices,
  type MadeDevice,
  renameDevices,
} from "./queries-devices.ts";

/** The name, in every `Change`, of the stream of devices. */
export const DEVICES = "devices";

/** The detail of its changes, of which each has the `deviceKey` and `userKey` of a device that is gone. */
export type DeviceDetail = { readonly deleted: true };

export type DeviceWrite =
  | {
      readonly kind: "create";
      readonly userKey: number;
      readonly deviceId: string;
      readonly displayName: string | undefined;
    }
  | {
      readonly kind: "rename";
      readonly userKey: number;
      readonly deviceId: string;
      readonly displayName: string;
    }
  | {
      readonly kind: "delete";
      readonly userKey: number;
      readonly deviceIds: readonly string[] | "all";
      readonly except: string | undefined;
    };

/** The key of the device that was made or renamed, and how many were made, renamed or deleted. */
export type DeviceWritten = { readonly deviceKey?: number; readonly count: number };

/**
 * The making, renaming and deleting of devices. Other processes hear of deletions, so that a token
 * ends everywhere at once; other users hear of all of it, by the device lists.
 */
export const devicesStream: Stream<DeviceWrite, DeviceWritten> = {
  name: DEVICES,

  async store(hs, lane, placed) {
    const creations = placed.flatMap(({ write }) => (write.kind === "create" ? [write] : []));
    const [made, renamed, deleted] = await Promise.all([
      insertDevices(lane, creations),
      renameDevices(lane, lastNames(placed)),
      deleteDeviceRows(lane, placed.flatMap(deletionsOf)),
    ]);
    const madeBy = new Map(made.map((it) => [idKey(it), it]));
    const renamedKeys = new Map(renamed.map((it) => [idKey(it), it.deviceKey]));
    const deletedAt = Map.groupBy(deleted, (it) => it.position);
    const results = placed.map(({ write, position }): Stored => {
      if (write.kind === "create") return created(madeBy.get(idKey(write)));
      if (write.kind === "rename") {
        const deviceKey = renamedKeys.get(idKey(write));
        return deviceKey === undefined
          ? { count: 0, gone: [] }
          : { count: 1, gone: [], renamed: { userKey: write.userKey, position, deviceKey } };
      }
      const gone = deletedAt.get(position) ?? [];
      return { count: gone.length, gone };
    });

    const changed = results.flatMap((it, index): DeviceListChange[] => {
      const one = placed[index];
      return one && it.count > 0 ? [{ userKey: one.write.userKey, position: one.position }] : [];
    });
    recordDeviceUpdates(lane, [
      ...results.flatMap(goneOf),
      ...(hs.config.federation.tellDeviceNames ? results.flatMap(renamedOf) : []),
    ]);
    const announced = Map.groupBy(await announceDeviceLists(lane, changed), (it) => it.position);
    return results.map(({ gone, deviceKey, count }, index): Outcome<DeviceWritten> => {
      const result = { count, ...(deviceKey !== undefined && { deviceKey }) };
      const lists = announced.get(placed[index]?.position ?? 0) ?? [];
      return { ok: true, result, changes: [...gone.map(changeOf), ...lists] };
    });
  },

  async changesBetween(sql, after, upTo) {
    const rows = await sql<GoneDevice[]>`
      select position, user_key as "userKey", device_key as "deviceKey" from device_deletions
      where position > ${after} and position <= ${upTo}`;
    return rows.map(changeOf);
  },
};

type Stored = DeviceWritten & {
  readonly gone: readonly DeletedDevice[];
  readonly renamed?: { userKey: number; position: number; deviceKey: number };
};

function created(it: MadeDevice | undefined): Stored {
  if (!it) throw new Error("a device was neither made nor found");
  return { deviceKey: it.deviceKey, count: it.made ? 1 : 0, gone: [] };
}

/** A statement may rename a device once: of several names in one group the last stays. */
function lastNames(placed: readonly Placed<DeviceWrite>[]) {
  const renamings = placed.flatMap(({ write }) => (write.kind === "rename" ? [write] : []));
  return [...new Map(renamings.map((it) => [idKey(it), it])).values()];
}

function deletionsOf({ write, position }: Placed<DeviceWrite>): Deletion[] {
  if (write.kind !== "delete") return [];
  const common = { position, userKey: write.userKey, except: write.except ?? null };
  const ids = write.deviceIds === "all" ? [null] : write.deviceIds;
  return ids.map((deviceId) => ({ ...common, deviceId }));
}

/** Others know of those devices that had published keys. */
function goneOf({ gone }: Stored): DeviceUpdate[] {
  const known = gone.filter((it) => it.hadKeys);
  const [first] = known;
  if (!first) return [];
  const { userKey, position } = first;
  return [{ userKey, position, gone: known.map((it) => it.deviceId) }];
}

function renamedOf({ renamed }: Stored): DeviceUpdate[] {
  if (!renamed) return [];
  const { deviceKey, ...it } = renamed;
  return [{ ...it, changed: [deviceKey] }];
}

function changeOf({ position, userKey, deviceKey }: GoneDevice): Change {
  const detail: DeviceDetail = { deleted: true };
  return { position, stream: DEVICES, userKey, deviceKey, detail };
}

function idKey({ userKey, deviceId }: { userKey: number; deviceId: string }): string {
  return `${userKey} ${deviceId}`;
}
