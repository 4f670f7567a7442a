import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import type { KeyQuery } from "./key-schemas.ts";
import { type CrossSigningRow, crossSigningKeysOf, type Usage } from "./queries-cross-signing.ts";
import {
  type KeySignatureRow,
  type PublishedDevice,
  publishedDevices,
  signaturesOnDevices,
  signaturesOnUsers,
} from "./queries-keys.ts";
import { entriesByUser } from "./read-user-ids.ts";
import { type Failures, unreachable, usersByServer } from "./remote-keys.ts";

/** Key objects as they go over the wire, by user. */
type ByUser = Readonly<Record<UserId, object>>;

export type QueriedKeys = {
  /** By user, then by device ID. */
  readonly device_keys: Readonly<Record<UserId, Readonly<Record<string, object>>>>;
  readonly master_keys: ByUser;
  readonly self_signing_keys: ByUser;
  readonly user_signing_keys: ByUser;
};

/**
 * The keys of users and their devices.
 *
 * @throws MatrixError M_INVALID_PARAM if a user ID is malformed.
 * @spec client-server-api#post_matrixclientv3keysquery
 */
export async function queryKeys(
  hs: Homeserver,
  requester: Requester,
  query: KeyQuery,
): Promise<QueriedKeys & { readonly failures: Failures }> {
  const wanted = new Map(entriesByUser(query.device_keys));
  const { local, remote } = usersByServer(hs, [...wanted.keys()]);
  const asked = new Map(local.map((userId) => [userId, wanted.get(userId) ?? []]));
  return { ...(await localKeys(hs, asked, requester)), failures: unreachable(remote.keys()) };
}

/**
 * The keys of users of this server, as one may see them: what users have signed of others' is seen by
 * those who signed alone, and so is the key by which they did.
 *
 * @param wanted the users, and of each which devices; all if none is named.
 * @param reader who asks, if it is a user of this server.
 * @spec client-server-api#key-and-signature-security
 */
export async function localKeys(
  hs: Homeserver,
  wanted: ReadonlyMap<UserId, readonly string[]>,
  reader?: { readonly userId: UserId; readonly userKey: number },
): Promise<QueriedKeys> {
  const userKeys = await findUserKeys(hs, wanted.keys());
  const keys = [...userKeys.values()];
  const [devices, crossSigning, onUsers] = await Promise.all([
    publishedDevices(hs.sql, keys),
    crossSigningKeysOf(hs.sql, keys),
    signaturesOnUsers(hs.sql, keys, reader?.userKey),
  ]);
  const idsOf = new Map([...userKeys].map(([userId, key]) => [key, wanted.get(userId) ?? []]));
  const named = devices.filter(({ userKey, deviceId }) => {
    const ids = idsOf.get(userKey) ?? [];
    return ids.length === 0 || ids.includes(deviceId);
  });
  const onDevices = Map.groupBy(
    await signaturesOnDevices(
      hs.sql,
      named.map((it) => it.deviceKey),
    ),
    (it) => it.deviceKey,
  );
  // Nobody has signed here but the owners of the keys and the reader.
  const signers = new Map([...userKeys].map(([userId, userKey]) => [userKey, userId]));
  if (reader) signers.set(reader.userKey, reader.userId);

  const byUser = Map.groupBy(named, (it) => it.userKey);
  const deviceEntries = [...userKeys].map(([userId, userKey]) => [
    userId,
    Object.fromEntries(
      (byUser.get(userKey) ?? []).map((it) => [
        it.deviceId,
        deviceAsSeen(it, onDevices.get(it.deviceKey) ?? [], signers),
      ]),
    ),
  ]);
  const keysFor = (usage: Usage) =>
    Object.fromEntries(
      crossSigning
        .filter((it) => it.usage === usage)
        .map((row) => [signers.get(row.userKey), asSeen(row, onUsers.filter(isOn(row)), signers)]),
    ) as ByUser;
  return {
    device_keys: Object.fromEntries(deviceEntries) as QueriedKeys["device_keys"],
    master_keys: keysFor("master"),
    self_signing_keys: keysFor("self_signing"),
    user_signing_keys: ownOnly(keysFor("user_signing"), reader?.userId),
  };
}

type Signers = ReadonlyMap<number, UserId>;

function isOn(row: CrossSigningRow) {
  return (it: { userKey: number; usage: string }) =>
    it.userKey === row.userKey && it.usage === row.usage;
}

function deviceAsSeen(
  device: PublishedDevice,
  added: readonly KeySignatureRow[],
  signers: Signers,
): object {
  return {
    ...asSeen(device, added, signers),
    unsigned: device.displayName === null ? {} : { device_display_name: device.displayName },
  };
}

/** A key object with the signatures that were added to it. */
function asSeen(
  { json }: { readonly json: string },
  added: readonly KeySignatureRow[],
  signers: Signers,
): object {
  const keys = JSON.parse(json) as { signatures?: Record<string, Record<string, string>> };
  if (added.length === 0) return keys;
  const signatures = new Map(Object.entries(keys.signatures ?? {}));
  for (const { signerKey, keyId, signature } of added) {
    const signer = signers.get(signerKey);
    if (signer) signatures.set(signer, { ...signatures.get(signer), [keyId]: signature });
  }
  return { ...keys, signatures: Object.fromEntries(signatures) };
}

function ownOnly(byUser: ByUser, userId: UserId | undefined): ByUser {
  return Object.fromEntries(Object.entries(byUser).filter(([owner]) => owner === userId)) as ByUser;
}
