import type { UserId } from "#src/kit/identifiers.ts";
import { CrossSigningKey, DeviceKeys } from "../key-schemas.ts";

/** A device of a user of another server, with its identity keys. */
export type RemoteDevice = {
  readonly deviceId: string;
  readonly displayName: string | null;
  /** The keys as JSON, without `unsigned`. */
  readonly json: string;
};

/** A cross-signing key of such a user. */
export type RemoteKey = {
  readonly usage: "master" | "self_signing";
  readonly publicKey: string;
  readonly json: string;
};

/** All that another server tells of a user's devices. */
export type RemoteList = {
  /** The last change that is in it; undefined if that was not said. */
  readonly streamId: number | undefined;
  readonly devices: readonly RemoteDevice[];
  readonly keys: readonly RemoteKey[];
};

/** A change that another server tells of. */
export type RemoteChange =
  | {
      readonly kind: "device";
      readonly streamId: number;
      readonly prevIds: readonly number[];
      readonly deviceId: string;
      /** Undefined if the device is gone, or has no keys. */
      readonly device: RemoteDevice | undefined;
    }
  | { readonly kind: "keys"; readonly keys: readonly RemoteKey[] };

const MOST_ID_BYTES = 512;
const MOST_NAME_CHARACTERS = 255;

/** Of keys and signatures of a device: several times what those are that withstand quantum computers. */
const MOST_KEY_CHARACTERS = 32_768;

/** Reads the keys of a device; undefined if they are not those of that device, or nobody could use them. */
export function readRemoteDevice(
  userId: UserId,
  deviceId: string,
  { keys, name }: { readonly keys: unknown; readonly name?: unknown },
): RemoteDevice | undefined {
  const read = DeviceKeys.safeParse(keys).data;
  if (read?.user_id !== userId || read.device_id !== deviceId) return undefined;
  if (Buffer.byteLength(deviceId) > MOST_ID_BYTES || deviceId.includes("\0")) return undefined;
  const { unsigned, ...kept } = read;
  const json = JSON.stringify(kept);
  if (json.length > MOST_KEY_CHARACTERS) return undefined;
  return { deviceId, displayName: readName(name ?? nameIn(unsigned)), json };
}

function nameIn(unsigned: unknown): unknown {
  return (unsigned as { device_display_name?: unknown } | null | undefined)?.device_display_name;
}

function readName(name: unknown): string | null {
  if (typeof name !== "string") return null;
  return name.toWellFormed().replaceAll("\0", "").slice(0, MOST_NAME_CHARACTERS);
}

/** Reads a cross-signing key; undefined if it is not one of that user and usage. */
function readRemoteKey(
  userId: UserId,
  usage: RemoteKey["usage"],
  key: unknown,
): RemoteKey | undefined {
  const read = CrossSigningKey.safeParse(key).data;
  if (read?.user_id !== userId || !read.usage.includes(usage)) return undefined;
  const [entry, ...others] = Object.entries(read.keys);
  if (!entry || others.length > 0 || entry[0] !== `ed25519:${entry[1]}`) return undefined;
  if (entry[1].length > MOST_ID_BYTES || entry[1].includes("\0")) return undefined;
  const { unsigned: _, ...kept } = read;
  return { usage, publicKey: entry[1], json: JSON.stringify(kept) };
}

/** Those of a user's two keys that others may see and that can be read. */
export function readRemoteKeys(
  userId: UserId,
  { master, selfSigning }: { readonly master: unknown; readonly selfSigning: unknown },
): RemoteKey[] {
  const read = [
    readRemoteKey(userId, "master", master),
    readRemoteKey(userId, "self_signing", selfSigning),
  ];
  return read.filter((it) => it !== undefined);
}
