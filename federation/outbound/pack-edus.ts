import { updateNumber } from "#src/devices/device-updates.ts";
import { type Bundle, bundlesFor } from "#src/devices/messages-for-servers.ts";
import { type QueriedKeys, storedKeys } from "#src/encryption/stored-keys.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { deviceListEdu, profileEdu, receiptEdu, signingKeyEdu, toDeviceEdu } from "./edu-texts.ts";
import { belatedAt, type BelatedRow } from "./queries-belated.ts";
import {
  type Owed,
  profilesAt,
  type ProfileUpdate,
  type ReceiptRow,
  receiptsAt,
} from "./queries-owed.ts";
import { introductionsAt, type UpdateRow, updatesAt } from "./queries-updates.ts";

// Together with those who type, at most a hundred. @spec server-server-api#transactions
const MOST_RECEIPT_EDUS = 20;
const MOST_UPDATES = 50;
const MOST_PROFILES = 10;
const MOST_BUNDLES = 15;

/** How many bytes messages to devices may take in a transaction, but for the first of them. */
const MOST_MESSAGE_BYTES = 2 * 1024 * 1024;

/** EDUs of one kind, and up to which position they are all that there is. */
export type Packed = {
  readonly edus: readonly string[];
  readonly upTo: Position;
};

/** What is needed to put EDUs into words, for several destinations. */
export type EduSources = {
  readonly receipts: ReadonlyMap<Position, ReceiptRow>;
  readonly updates: ReadonlyMap<string, UpdateRow>;
  readonly introductions: ReadonlyMap<Position, readonly UpdateRow[]>;
  readonly belated: ReadonlyMap<Position, readonly BelatedRow[]>;
  readonly profiles: ReadonlyMap<Position, ProfileUpdate>;
  readonly keys: QueriedKeys;
  readonly bundles: Awaited<ReturnType<typeof bundlesFor>>;
};

/** Reads it: a query for each kind of which there is something. */
export async function readEduSources(hs: Homeserver, owed: readonly Owed[]): Promise<EduSources> {
  const positionsOf = (kind: Owed["kind"]) => [
    ...new Set(owed.flatMap((it) => (it.kind === kind ? [it.position] : []))),
  ];
  const servers = new Set(owed.flatMap((it) => (it.kind === "message" ? [it.serverName] : [])));
  const [receipts, updates] = [positionsOf("receipt"), positionsOf("update")];
  const [introductions, belated] = [positionsOf("introduction"), positionsOf("belated")];
  const profiles = positionsOf("profile");
  const [receiptRows, updated, introduced, missed, profileRows, bundles] = await Promise.all([
    receipts.length > 0 ? receiptsAt(hs.sql, receipts) : new Map<Position, ReceiptRow>(),
    updates.length > 0 ? updatesAt(hs.sql, updates) : [],
    introductions.length > 0 ? introductionsAt(hs.sql, introductions) : [],
    belated.length > 0 ? belatedAt(hs.sql, belated) : [],
    profiles.length > 0 ? profilesAt(hs.sql, profiles) : new Map<Position, ProfileUpdate>(),
    servers.size > 0 ? bundlesFor(hs, [...servers]) : new Map(),
  ]);
  const users = new Set([...updated, ...introduced, ...missed].map((it) => it.userId));
  const wanted = new Map<UserId, readonly string[]>([...users].map((it) => [it, []]));
  return {
    receipts: receiptRows,
    updates: new Map(asTold(hs, updated).map((it) => [`${it.position} ${it.part}`, it])),
    introductions: Map.groupBy(asTold(hs, introduced), (it) => it.position),
    belated: Map.groupBy(asTold(hs, missed), (it) => it.foundAt),
    profiles: profileRows,
    keys: wanted.size > 0 ? await storedKeys(hs, wanted) : NO_KEYS,
    bundles,
  };
}

function asTold<T extends UpdateRow>(hs: Homeserver, rows: readonly T[]): readonly T[] {
  return hs.config.federation.tellDeviceNames ? rows : rows.map((it) => ({ ...it, name: null }));
}

const NO_KEYS: QueriedKeys = {
  device_keys: {},
  master_keys: {},
  self_signing_keys: {},
  user_signing_keys: {},
};

/** Receipts: as many of each user in a room as there are threads, each in an EDU of its own. */
export function packReceipts(
  owed: readonly Owed[],
  { receipts }: EduSources,
  upTo: Position,
): Packed {
  const layers: Map<string, ReceiptRow>[] = [];
  for (const { position } of owed) {
    const row = receipts.get(position);
    if (!row) continue;
    const key = `${row.roomId} ${row.userId}`;
    let layer = layers.find((it) => !it.has(key));
    if (!layer) {
      if (layers.length === MOST_RECEIPT_EDUS) return { edus: textsOf(layers), upTo: position - 1 };
      layer = new Map();
      layers.push(layer);
    }
    layer.set(key, row);
  }
  return { edus: textsOf(layers), upTo };
}

function textsOf(layers: readonly ReadonlyMap<string, ReceiptRow>[]): string[] {
  return layers.flatMap((it) => receiptEdu([...it.values()]) ?? []);
}

/** What has become of profiles, but for what rooms show of them. */
export function packProfiles(
  owed: readonly Owed[],
  { profiles }: EduSources,
  upTo: Position,
): Packed {
  const edus: string[] = [];
  for (const { position } of owed) {
    const row = position > upTo ? undefined : profiles.get(position);
    if (!row) continue;
    if (edus.length === MOST_PROFILES) return { edus, upTo: position - 1 };
    const now = new Map(Object.entries(JSON.parse(row.others) as CanonicalObject));
    const fields = row.fields.map((it) => [it, now.get(it) ?? null] as const);
    const text = profileEdu(row.userId, Object.fromEntries(fields));
    // What has no Canonical JSON can be sent to nobody.
    if (text !== undefined) edus.push(text);
  }
  return { edus, upTo };
}

/** What has become of devices and keys: those of one position all or none. */
export function packUpdates(owed: readonly Owed[], sources: EduSources, upTo: Position): Packed {
  const edus: string[] = [];
  const inOrder = owed.toSorted((a, b) => a.position - b.position || a.part - b.part);
  for (const [position, its] of Map.groupBy(inOrder, (it) => it.position)) {
    if (position > upTo) break;
    const rows = its.flatMap((it) => updatesOf(it, sources));
    if (edus.length > 0 && edus.length + rows.length > MOST_UPDATES) {
      return { edus, upTo: position - 1 };
    }
    edus.push(...rows.flatMap((it) => updateEdu(it, sources.keys) ?? []));
  }
  return { edus, upTo };
}

function updatesOf(
  { kind, position, part }: Owed,
  { updates, introductions, belated }: EduSources,
): readonly UpdateRow[] {
  if (kind === "introduction") return introductions.get(position) ?? [];
  if (kind === "belated") return belated.get(position) ?? [];
  const row = updates.get(`${position} ${part}`);
  return row ? [row] : [];
}

function updateEdu(
  { userId, deviceId, prevId, name, isGone, ...at }: UpdateRow,
  keys: QueriedKeys,
): string | undefined {
  if (deviceId === null) {
    return signingKeyEdu(userId, {
      master: keys.master_keys[userId],
      selfSigning: keys.self_signing_keys[userId],
    });
  }
  const device = keys.device_keys[userId]?.[deviceId];
  const streamId = updateNumber(at);
  return deviceListEdu({ userId, deviceId, name, keys: device, isGone, streamId, prevId });
}

/** Messages to devices, the oldest first. What is sent before its place is not sent again: it is deleted once it is taken. */
export function packMessages(
  server: ServerName,
  { bundles }: EduSources,
  upTo: Position,
): Packed & { readonly bundles: readonly Bundle[]; readonly isMore: boolean } {
  const { bundles: all = [], isMore = false } = bundles.get(server) ?? {};
  const { edus, count } = textsOfBundles(all);
  const sent = all.slice(0, count);
  const next = all[count] ?? (isMore ? sent.at(-1) : undefined);
  return { edus, bundles: sent, isMore: next !== undefined, upTo: next ? next.position - 1 : upTo };
}

/** The texts of as many as are sent at once. */
function textsOfBundles(bundles: readonly Bundle[]): { edus: readonly string[]; count: number } {
  const edus: string[] = [];
  let bytes = 0;
  let count = 0;
  for (const bundle of bundles) {
    // What has no Canonical JSON can be sent to nobody.
    const text = toDeviceEdu(bundle) ?? "";
    bytes += text.length;
    if (edus.length === MOST_BUNDLES || (edus.length > 0 && bytes > MOST_MESSAGE_BYTES)) break;
    count++;
    if (text !== "") edus.push(text);
  }
  return { edus, count };
}
