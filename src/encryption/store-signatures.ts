import { DEVICE_LISTS, type DeviceListDetail } from "#src/devices/device-lists.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Change, Placed } from "#src/streams/stream.ts";
import {
  type DeviceSignature,
  insertDeviceSignatures,
  insertKeySignatures,
  type KeySignature,
  type SignedUser,
} from "./queries-cross-signing.ts";
import type { StoredWrite } from "./stored-write.ts";

/** Signatures that a user has made and that have been verified. */
export type SignaturesWrite = {
  readonly kind: "signatures";
  readonly signerKey: number;
  readonly onDevices: readonly Omit<DeviceSignature, "signerKey">[];
  readonly onKeys: readonly Omit<KeySignature, "signerKey" | "position">[];
};

export async function storeSignatures(
  lane: Tx,
  placed: readonly Placed<SignaturesWrite>[],
): Promise<Map<number, StoredWrite>> {
  const onDevices = new Map<string, DeviceSignature>();
  const onKeys = new Map<string, KeySignature>();
  const stored = new Map<number, StoredWrite>();
  for (const { write, position } of placed) {
    const { signerKey } = write;
    for (const it of write.onDevices) {
      onDevices.set(`${it.deviceKey} ${signerKey} ${it.keyId}`, { ...it, signerKey });
    }
    for (const it of write.onKeys) {
      onKeys.set(`${it.userKey} ${it.publicKey} ${signerKey} ${it.keyId}`, {
        ...it,
        signerKey,
        position,
      });
    }
    const others = write.onKeys.filter((it) => it.userKey !== signerKey);
    const isOwn = write.onDevices.length > 0 || others.length < write.onKeys.length;
    stored.set(position, {
      result: {},
      ...(isOwn && {
        listOf: signerKey,
        updated: {
          changed: [...new Set(write.onDevices.map((it) => it.deviceKey))],
          ownKeys: others.length < write.onKeys.length,
        },
      }),
      changes: others.map(({ userKey }) => signedUserChange({ position, signerKey, userKey })),
    });
  }
  await Promise.all([
    insertDeviceSignatures(lane, [...onDevices.values()]),
    insertKeySignatures(lane, [...onKeys.values()]),
  ]);
  return stored;
}

/** The news, for the signer alone, that they have signed another user's key: nobody else may see it. */
export function signedUserChange({ position, signerKey, userKey }: SignedUser): Change {
  const detail: DeviceListDetail = { userKey };
  return { position, stream: DEVICE_LISTS, userKey: signerKey, detail };
}
