import {
  type Admission,
  admissible,
  admitDevices,
  type FirstPair,
} from "#src/auth/admit-devices.ts";
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

type Creation = {
  readonly kind: "create";
  readonly userKey: number;
  readonly deviceId: string;
  readonly displayName: string | undefined;
  /** Of who logs in on it. Left out if nobody does. */
  readonly admission?: Admission;
};

export type DeviceWrite =
  | Creation
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

/**
 * The key of the device that was made or renamed, and how many were made, renamed or deleted. Without a key nobody is logged in on
 * it who wanted to be.
 */
export type DeviceWritten = { readonly deviceKey?: number; readonly count: number };

/**
 * The making, renaming and deleting of devices. Other processes hear of deletions, so that a token
 * ends everywhere at once; other users hear of all of it, by the device lists.
 */
export const devicesStream: Stream<DeviceWrite, DeviceWritten> = {
  name: DEVICES,

  async store(hs, lane, placed) {
    const creations = await admissible(hs, lane, placed.flatMap(creationsOf));
    const [made, renamed, deleted] = await Promise.all([
      insertDevices(
        lane,
        creations.map((it) => it.write),
      ),
      renameDevices(lane, lastNames(placed)),
      deleteDeviceRows(lane, placed.flatMap(deletionsOf)),
    ]);
    const madeBy = new Map(made.map((it) => [idKey(it), it]));
    const admitted = await admitDevices(
      lane,
      creations.flatMap((it) => pairOf(it, madeBy)),
    );
    const kept = new Set(creations.map((it) => it.position));
    const renamedKeys = new Map(renamed.map((it) => [idKey(it), it.deviceKey]));
    const deletedAt = Map.groupBy(deleted, (it) => it.position);
    const results = placed.map(({ write, position }): Stored => {
      if (write.kind === "create") {
        const device = kept.has(position) ? created(madeBy.get(idKey(write))) : undefined;
        return device ? withNews(write, device, admitted.get(device.deviceKey)) : NOTHING;
      }
      if (write.kind === "rename") {
        const deviceKey = renamedKeys.get(idKey(write));
        return deviceKey === undefined
          ? NOTHING
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
    return results.map(({ gone, deviceKey, count, ended = [] }, index): Outcome<DeviceWritten> => {
      const result = { count, ...(deviceKey !== undefined && { deviceKey }) };
      const lists = announced.get(placed[index]?.position ?? 0) ?? [];
      return { ok: true, result, changes: [...gone.map(changeOf), ...ended, ...lists] };
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
  /** That tokens have ended. */
  readonly ended?: readonly Change[];
};

const NOTHING: Stored = { count: 0, gone: [] };

function creationsOf({ write, position }: Placed<DeviceWrite>) {
  if (write.kind !== "create") return [];
  const { userKey, deviceId, admission } = write;
  const logIn = admission && { ...admission, userKey, deviceId };
  return [{ write, position, logIn }];
}

function pairOf(
  { write, position }: Placed<Creation>,
  madeBy: ReadonlyMap<string, MadeDevice>,
): FirstPair[] {
  const { admission } = write;
  const deviceKey = madeBy.get(idKey(write))?.deviceKey;
  return admission && deviceKey !== undefined
    ? [{ deviceKey, position, pair: admission.pair }]
    : [];
}

type Created = Stored & { readonly deviceKey: number };

function created(it: MadeDevice | undefined): Created {
  if (!it) throw new Error("a device was neither made nor found");
  return { deviceKey: it.deviceKey, count: it.made ? 1 : 0, gone: [] };
}

/** @param ended the news of tokens that have ended; undefined of a device that another write of the group has deleted. */
function withNews(
  { admission }: Creation,
  device: Created,
  ended: readonly Change[] | undefined,
): Stored {
  if (!admission) return device;
  return ended ? { ...device, ended } : NOTHING;
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
