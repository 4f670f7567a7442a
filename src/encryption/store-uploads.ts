import type { Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Placed } from "#src/streams/stream.ts";
import { recordSupplyChanges, supplyChange, type SupplyChange } from "./key-supply.ts";
import {
  countOneTimeKeys,
  devicesBefore,
  fallbackKeysOf,
  forgetClaimed,
  forgetIdentities,
  insertOneTimeKeys,
  type OneTimeKeyRow,
  oneTimeKeysIn,
  upsertDeviceKeys,
  upsertFallbackKeys,
} from "./queries-uploads.ts";
import { signedContent } from "./signed-keys.ts";
import type { StoredWrite } from "./stored-write.ts";

/** What a device publishes in one request. */
export type UploadWrite = {
  readonly kind: "upload";
  readonly userKey: number;
  readonly deviceKey: number;
  /** The identity keys as JSON, if they are published too. */
  readonly deviceKeys: string | undefined;
  readonly oneTimeKeys: readonly OneTimeKeyRow[];
  readonly fallbackKeys: readonly OneTimeKeyRow[];
};

/** For how long a key that was handed out is known by a client that uploads it again. */
const CLAIMED_KNOWN_MS = 7 * 24 * 60 * 60 * 1000;

/** What is known, in the lane, of the devices of a group and their keys. */
type Known = {
  /** The identity keys of each device that exists. */
  readonly devices: Map<number, string | null>;
  readonly oneTime: Map<string, string>;
  /** Those that have been handed out. */
  readonly claimed: Map<string, string>;
  readonly fallback: Map<string, OneTimeKeyRow>;
};

export async function lookForUploads(lane: Tx, writes: readonly UploadWrite[]): Promise<Known> {
  if (writes.length === 0) {
    return { devices: new Map(), oneTime: new Map(), claimed: new Map(), fallback: new Map() };
  }
  const deviceKeys = writes.map((it) => it.deviceKey);
  const uploaded = writes.flatMap((it) => it.oneTimeKeys);
  const [devices, oneTime, claimed, fallback] = await Promise.all([
    devicesBefore(lane, deviceKeys),
    oneTimeKeysIn(lane, "one_time_keys", uploaded),
    oneTimeKeysIn(lane, "claimed_keys", uploaded),
    fallbackKeysOf(lane, deviceKeys),
  ]);
  return {
    devices: new Map(devices.map((it) => [it.deviceKey, it.json])),
    oneTime: textsOf(oneTime),
    claimed: textsOf(claimed),
    fallback: new Map(fallback.map((it) => [fallbackOf(it), it])),
  };
}

function textsOf(rows: readonly OneTimeKeyRow[]): Map<string, string> {
  return new Map(rows.map((it) => [keyOf(it), it.json]));
}

/** What a group of uploads changes, put together before anything is written. */
type Changes = {
  readonly identities: Map<number, string>;
  readonly forgotten: Set<number>;
  readonly oneTime: Map<string, OneTimeKeyRow>;
  readonly fallback: Map<string, OneTimeKeyRow>;
  readonly supplies: Map<number, SupplyChange>;
};

/** Stores uploads, in order. Refuses one that gives another key an ID that is taken. */
export async function storeUploads(
  lane: Tx,
  placed: readonly Placed<UploadWrite>[],
  { known, now }: { readonly known: Known; readonly now: UnixMs },
): Promise<Map<number, StoredWrite>> {
  if (placed.length === 0) return new Map();
  const changes: Changes = {
    identities: new Map(),
    forgotten: new Set(),
    oneTime: new Map(),
    fallback: new Map(),
    supplies: new Map(),
  };
  const stored = new Map(placed.map((it) => [it.position, storeOne(it, known, changes)]));
  const deviceKeys = placed.map((it) => it.write.deviceKey);
  const [, , , , , , counts] = await Promise.all([
    forgetIdentities(lane, [...changes.forgotten]),
    forgetClaimed(lane, deviceKeys, now - CLAIMED_KNOWN_MS),
    upsertDeviceKeys(lane, changes.identities),
    insertOneTimeKeys(lane, [...changes.oneTime.values()]),
    upsertFallbackKeys(lane, [...changes.fallback.values()]),
    recordSupplyChanges(lane, [...changes.supplies.values()]),
    countOneTimeKeys(lane, deviceKeys),
  ]);
  const byDevice = Map.groupBy(counts, (it) => it.deviceKey);
  for (const { position, write } of placed) {
    const it = stored.get(position);
    if (it && "result" in it) {
      stored.set(position, { ...it, result: { counts: byDevice.get(write.deviceKey) ?? [] } });
    }
  }
  return stored;
}

function storeOne(
  { write, position }: Placed<UploadWrite>,
  known: Known,
  changes: Changes,
): StoredWrite {
  const { userKey, deviceKey } = write;
  const before = known.devices.get(deviceKey);
  if (before === undefined) {
    return { error: new MatrixError("M_UNKNOWN_TOKEN", "The device has been deleted") };
  }
  const isOther = isOtherIdentity(before, write.deviceKeys);
  if (!isOther && write.oneTimeKeys.some((it) => isTaken(known.oneTime.get(keyOf(it)), it.json))) {
    const message = "A one-time key with this ID, but of another content, is there already";
    return { error: new MatrixError("M_UNKNOWN", message, { status: 400 }) };
  }
  if (isOther) forgetOldIdentity(deviceKey, known, changes);

  const supplied = addKeys(write, known, changes) || isOther;
  const supply = { position, userKey, deviceKey, claimed: false };
  if (supplied) changes.supplies.set(deviceKey, supply);

  const isNewList = write.deviceKeys !== undefined && write.deviceKeys !== before;
  if (write.deviceKeys !== undefined && isNewList) {
    known.devices.set(deviceKey, write.deviceKeys);
    changes.identities.set(deviceKey, write.deviceKeys);
  }
  return {
    result: {},
    ...(isNewList && { listOf: userKey, updated: { changed: [deviceKey] } }),
    changes: supplied ? [supplyChange(supply)] : [],
  };
}

/** Adds those keys that are not there yet, nor have been handed out, and says whether there were any. */
function addKeys(write: UploadWrite, known: Known, changes: Changes): boolean {
  let added = false;
  for (const row of write.oneTimeKeys) {
    if (known.oneTime.has(keyOf(row)) || known.claimed.get(keyOf(row)) === row.json) continue;
    known.oneTime.set(keyOf(row), row.json);
    changes.oneTime.set(keyOf(row), row);
    added = true;
  }
  for (const row of write.fallbackKeys) {
    const held = known.fallback.get(fallbackOf(row));
    // The same key again stays used, if it is.
    if (held?.keyId === row.keyId && held.json === row.json) continue;
    known.fallback.set(fallbackOf(row), row);
    changes.fallback.set(fallbackOf(row), row);
    added = true;
  }
  return added;
}

/** Whether a device that had keys comes with others, as after it has lost its store. */
function isOtherIdentity(before: string | null, now: string | undefined): boolean {
  if (before === null || now === undefined) return false;
  const keysOf = (json: string) => signedContent({ keys: (JSON.parse(json) as DeviceJson).keys });
  return keysOf(before) !== keysOf(now);
}

type DeviceJson = { readonly keys: object };

/** One-time keys of the old identity could only mislead: nobody has their secrets any more. */
function forgetOldIdentity(deviceKey: number, known: Known, changes: Changes): void {
  changes.forgotten.add(deviceKey);
  const isTheirs = (key: string) => key.startsWith(`${deviceKey} `);
  const { oneTime, claimed, fallback } = known;
  for (const map of [oneTime, claimed, fallback, changes.oneTime, changes.fallback]) {
    for (const key of [...map.keys()].filter(isTheirs)) map.delete(key);
  }
}

/** A key may be uploaded again, with other signatures too, but an ID stays with its key. */
function isTaken(held: string | undefined, json: string): boolean {
  if (held === undefined || held === json) return false;
  const [one, other]: unknown[] = [JSON.parse(held), JSON.parse(json)];
  if (typeof one === "string" || typeof other === "string") return one !== other;
  return signedContent(one as object) !== signedContent(other as object);
}

function keyOf({ deviceKey, algorithm, keyId }: Omit<OneTimeKeyRow, "json">): string {
  return `${deviceKey} ${algorithm}:${keyId}`;
}

function fallbackOf({ deviceKey, algorithm }: Omit<OneTimeKeyRow, "json">): string {
  return `${deviceKey} ${algorithm}`;
}
