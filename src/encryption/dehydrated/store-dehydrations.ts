import { makeDevices } from "#src/devices/make-devices.ts";
import type { Tx } from "#src/homeserver/database.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Placed } from "#src/streams/stream.ts";
import type { OneTimeKeyRow } from "../queries-uploads.ts";
import type { UploadWrite } from "../store-uploads.ts";
import type { StoredWrite } from "../stored-write.ts";
import { dehydratedAmong, upsertDehydrated } from "./queries-dehydrated.ts";

/** The keeping of a dehydrated device: the device itself, its keys and its secrets, or none of them. */
export type DehydrationWrite = {
  readonly kind: "dehydrate";
  readonly userKey: number;
  readonly deviceId: string;
  readonly displayName: string | undefined;
  /** JSON. */
  readonly secrets: string;
  /** Its keys. Which device they are of is known once that has been made. */
  readonly upload: UploadWrite;
};

/** The devices of dehydrations, made if they were not there; those are left out on which somebody is logged in. */
export type Dehydrated = ReadonlyMap<
  DehydrationWrite,
  { readonly deviceKey: number; readonly upload: UploadWrite; readonly isNew: boolean }
>;

/** Makes the devices, in the lane. From then on nobody can log in on them. */
export async function makeDehydrated(
  lane: Tx,
  writes: readonly DehydrationWrite[],
): Promise<Dehydrated> {
  if (writes.length === 0) return new Map();
  const made = await makeDevices(lane, writes);
  const keys = made.map((it) => it.deviceKey);
  const dehydrated = new Set(await dehydratedAmong(lane, keys));
  const devices = new Map(
    writes.flatMap((write) => {
      const own = made.filter(
        (it) => it.userKey === write.userKey && it.deviceId === write.deviceId,
      );
      const isNew = own.some((it) => it.made);
      const device = own.find((it) => it.made || dehydrated.has(it.deviceKey));
      if (!device) return [];
      const { deviceKey } = device;
      return [[write, { deviceKey, isNew, upload: ofDevice(write.upload, deviceKey) }]];
    }),
  );
  const fresh = [...devices].filter(([, it]) => it.isNew);
  await upsertDehydrated(lane, new Map(fresh.map(([write, it]) => [it.deviceKey, write])));
  return devices;
}

function ofDevice(upload: UploadWrite, deviceKey: number): UploadWrite {
  const own = (rows: readonly OneTimeKeyRow[]) => rows.map((it) => ({ ...it, deviceKey }));
  return {
    ...upload,
    deviceKey,
    oneTimeKeys: own(upload.oneTimeKeys),
    fallbackKeys: own(upload.fallbackKeys),
  };
}

/**
 * Stores the secrets of dehydrated devices whose keys have been stored.
 *
 * @param uploaded what has become of the keys, by position.
 */
export async function storeDehydrations(
  lane: Tx,
  placed: readonly Placed<DehydrationWrite>[],
  { dehydrated, uploaded }: { dehydrated: Dehydrated; uploaded: ReadonlyMap<number, StoredWrite> },
): Promise<Map<number, StoredWrite>> {
  const refused = new Map<number, StoredWrite>();
  const secrets = new Map<number, { readonly userKey: number; readonly secrets: string }>();
  for (const { write, position } of placed) {
    const device = dehydrated.get(write);
    const keys = uploaded.get(position);
    if (!device) {
      const message = "You are logged in on a device of this ID";
      refused.set(position, { error: new MatrixError("M_INVALID_PARAM", message) });
    } else if (keys && "error" in keys) {
      // Then there is no device either: all of it is undone.
      if (device.isNew) throw keys.error;
    } else secrets.set(device.deviceKey, write);
  }
  await upsertDehydrated(lane, secrets);
  return refused;
}
