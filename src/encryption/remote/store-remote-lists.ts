import { isDeepStrictEqual } from "node:util";
import type { Tx } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Placed } from "#src/streams/stream.ts";
import type { CrossSigningRow } from "../queries-cross-signing.ts";
import type { StoredWrite } from "../stored-write.ts";
import {
  deleteListedDevices,
  deleteRemoteDevices,
  type CountedList,
  knownLists,
  listedDevices,
  type ListRow,
  type RemoteDeviceName,
  type RemoteDeviceRow,
  replaceRemoteKeys,
  upsertLists,
  upsertRemoteDevices,
} from "./queries-remote-lists.ts";
import type { RemoteChange, RemoteDevice, RemoteKey, RemoteList } from "./remote-list.ts";

/** The most devices of a user: as many as a server may tell of at once. Whoever asks for the user's keys is given all. */
const MOST_DEVICES = 10_000;

/** What another server has told of changes to one user's devices, in its order; or all of the list. */
export type RemoteListWrite =
  | {
      readonly kind: "remote-changes";
      readonly userKey: number;
      readonly changes: readonly RemoteChange[];
    }
  | {
      readonly kind: "remote-list";
      readonly userKey: number;
      readonly list: RemoteList;
      /** Where the streams were when it was asked for. */
      readonly askedAt: Position;
    };

/** What stands, in the lane, of a list that a group writes to. */
type Known = CountedList & {
  /** Those of its devices of which the group tells under a number that the list has come to already. */
  readonly held: ReadonlyMap<string, RemoteDevice>;
};

export type KnownLists = ReadonlyMap<number, Known>;

export async function lookForRemoteLists(
  lane: Tx,
  writes: readonly RemoteListWrite[],
): Promise<KnownLists> {
  const userKeys = [...new Set(writes.map((it) => it.userKey))];
  const lists = await knownLists(lane, userKeys);
  const reached = new Map(lists.map((it) => [it.userKey, it.streamId]));
  const devices = await listedDevices(lane, toldAgain(writes, reached));
  const byUser = Map.groupBy(devices, (it) => it.userKey);
  const held = (userKey: number) => new Map(byUser.get(userKey)?.map((it) => [it.deviceId, it]));
  return new Map(lists.map((it) => [it.userKey, { ...it, held: held(it.userKey) }]));
}

/** @param reached the number that each user's list has come to. */
function toldAgain(
  writes: readonly RemoteListWrite[],
  reached: Map<number, number | null>,
): RemoteDeviceName[] {
  const names: RemoteDeviceName[] = [];
  for (const write of writes) {
    if (write.kind === "remote-list") continue;
    const { userKey } = write;
    for (const change of write.changes) {
      const known = reached.get(userKey) ?? null;
      if (change.kind === "keys" || known === null) continue;
      if (change.streamId <= known) names.push({ userKey, deviceId: change.deviceId });
      else reached.set(userKey, change.streamId);
    }
  }
  return names;
}

/** What a group makes of one user's list. */
type Outlook = {
  readonly userKey: number;
  row: ListRow | undefined;
  changedAt: Position;
  /** Whether all devices and keys are new. */
  isWhole: boolean;
  /** How many devices there may be. */
  count: number;
  readonly held: Known["held"];
  /** Devices that have come, or, if undefined, gone. */
  readonly devices: Map<string, RemoteDevice | undefined>;
  readonly keys: Map<RemoteKey["usage"], RemoteKey>;
};

/**
 * Stores what other servers have told of their users' devices, in order. What does not follow upon what
 * we have makes the list stale: then all of it is to be asked for.
 */
export async function storeRemoteLists(
  lane: Tx,
  placed: readonly Placed<RemoteListWrite>[],
  known: KnownLists,
): Promise<Map<number, StoredWrite>> {
  if (placed.length === 0) return new Map();
  const outlooks = new Map<number, Outlook>();
  const stored = new Map<number, StoredWrite>();
  for (const { write, position } of placed) {
    const outlook = outlooks.get(write.userKey) ?? outlookOf(write.userKey, known);
    outlooks.set(write.userKey, outlook);
    if (write.kind === "remote-list") {
      replaceList(outlook, write);
      stored.set(position, { result: {}, changes: [] });
      continue;
    }
    for (const change of write.changes) applyChange(outlook, change);
    outlook.changedAt = position;
    const isStale = outlook.row?.isStale ?? false;
    stored.set(position, { result: { isStale }, changes: [], listOf: write.userKey });
  }
  await writeAll(lane, [...outlooks.values()]);
  return stored;
}

const UNKNOWN: Omit<Known, "userKey"> = {
  changedAt: null,
  streamId: null,
  askedAt: null,
  isStale: null,
  devices: 0,
  held: new Map(),
};

function outlookOf(userKey: number, known: KnownLists): Outlook {
  const it = known.get(userKey) ?? UNKNOWN;
  const { streamId, askedAt, isStale, held } = it;
  const row =
    askedAt === null || isStale === null ? undefined : { userKey, streamId, askedAt, isStale };
  return {
    userKey,
    row,
    changedAt: it.changedAt ?? 0,
    isWhole: false,
    count: it.devices,
    held,
    devices: new Map(),
    keys: new Map(),
  };
}

function replaceList(
  outlook: Outlook,
  { userKey, list, askedAt }: Extract<RemoteListWrite, { kind: "remote-list" }>,
): void {
  // Asked before one that is there: it may be the older of the two.
  if (outlook.row && outlook.row.askedAt > askedAt) return;
  // What we were told since it was asked for may be in it or not.
  const isStale = outlook.changedAt > askedAt;
  outlook.row = { userKey, streamId: list.streamId ?? null, askedAt, isStale };
  outlook.isWhole = true;
  outlook.count = list.devices.length;
  outlook.devices.clear();
  outlook.keys.clear();
  for (const it of list.devices) outlook.devices.set(it.deviceId, it);
  for (const it of list.keys) outlook.keys.set(it.usage, it);
}

function applyChange(outlook: Outlook, change: RemoteChange): void {
  const { row } = outlook;
  // Without a list nothing is known that a change could be added to.
  if (!row) return;
  if (change.kind === "keys") {
    for (const it of change.keys) outlook.keys.set(it.usage, it);
    return;
  }
  const { streamId, deviceId, device } = change;
  const news = newsOf(outlook, row.streamId, change);
  if (news === "none") return;
  if (news === "unclear" || row.isStale) {
    outlook.row = { ...row, isStale: true };
    return;
  }
  outlook.row = { ...row, streamId };
  putDevice(outlook, deviceId, device);
}

type DeviceChange = Extract<RemoteChange, { kind: "device" }>;

/** @param known the number that the list has come to. */
function newsOf(
  outlook: Outlook,
  known: number | null,
  { streamId, prevIds, deviceId, device }: DeviceChange,
): "none" | "next" | "unclear" {
  // Who names nothing that it follows says only that something has changed: some servers do so under the same number each time.
  if (known === null || prevIds.length === 0) return "unclear";
  // Numbers should only grow. But some servers give those of deleted devices once more, and those of a server that was restored go back.
  if (streamId <= known) {
    const held = contentOf(heldDevice(outlook, deviceId));
    return isDeepStrictEqual(contentOf(device), held) ? "none" : "unclear";
  }
  // What follows upon something older than the list follows upon the list.
  return prevIds.every((it) => it <= known) ? "next" : "unclear";
}

function heldDevice(
  { devices, isWhole, held }: Outlook,
  deviceId: string,
): RemoteDevice | undefined {
  if (devices.has(deviceId)) return devices.get(deviceId);
  return isWhole ? undefined : held.get(deviceId);
}

function contentOf(device: RemoteDevice | undefined): unknown {
  return device && { name: device.displayName, keys: JSON.parse(device.json) as unknown };
}

function putDevice(outlook: Outlook, deviceId: string, device: RemoteDevice | undefined): void {
  if (device && outlook.count >= MOST_DEVICES) return;
  if (device) outlook.count++;
  outlook.devices.set(deviceId, device);
}

async function writeAll(lane: Tx, outlooks: readonly Outlook[]): Promise<void> {
  const whole = outlooks.filter((it) => it.isWhole).map((it) => it.userKey);
  const gone: { userKey: number; deviceId: string }[] = [];
  const come: RemoteDeviceRow[] = [];
  for (const { userKey, devices } of outlooks) {
    for (const [deviceId, device] of devices) {
      if (device) come.push({ ...device, userKey });
      else gone.push({ userKey, deviceId });
    }
  }
  const keys = outlooks.flatMap(({ userKey, keys: its }): CrossSigningRow[] =>
    [...its.values()].map((it) => ({ ...it, userKey })),
  );
  await Promise.all([
    upsertLists(
      lane,
      outlooks.flatMap((it) => it.row ?? []),
    ),
    deleteListedDevices(lane, whole),
    deleteRemoteDevices(lane, gone),
    upsertRemoteDevices(lane, come),
    replaceRemoteKeys(lane, keys, whole),
  ]);
}
