import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { crossSigningKeysOf, type Usage } from "./queries-cross-signing.ts";
import {
  type KeyedDevice,
  type KeySignatureRow,
  publishedDevices,
  remoteDevices,
  signaturesOnDevices,
  signaturesOnUsers,
} from "./queries-keys.ts";

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
 * The keys of users as we have them and as one may see them: what users have signed of others' is seen by
 * those who signed alone, and so is the key by which they did. Other servers are told what devices are called
 * only if we may.
 *
 * @param wanted the users, and of each which devices; all if none is named.
 * @param reader who asks, if it is a user of this server.
 * @spec client-server-api#key-and-signature-security
 */
export async function storedKeys(
  hs: Homeserver,
  wanted: ReadonlyMap<UserId, readonly string[]>,
  reader?: { readonly userId: UserId; readonly userKey: number },
): Promise<QueriedKeys> {
  const userKeys = await findUserKeys(hs, wanted.keys());
  const keys = [...userKeys.values()];
  const { ours = [], others = [] } = Object.groupBy(userKeys, ([userId]) =>
    serverNameOf(userId) === hs.name ? "ours" : "others",
  );
  const [published, listed, crossSigning, onUsers] = await Promise.all([
    publishedDevices(
      hs.sql,
      ours.map(([, key]) => key),
    ),
    remoteDevices(
      hs.sql,
      others.map(([, key]) => key),
    ),
    crossSigningKeysOf(hs.sql, keys),
    signaturesOnUsers(hs.sql, keys, reader?.userKey),
  ]);
  const idsOf = new Map([...userKeys].map(([userId, key]) => [key, wanted.get(userId) ?? []]));
  const isNamed = ({ userKey, deviceId }: KeyedDevice) => {
    const ids = idsOf.get(userKey) ?? [];
    return ids.length === 0 || ids.includes(deviceId);
  };
  const own = published.filter(isNamed);
  const onDevices = Map.groupBy(
    await signaturesOnDevices(
      hs.sql,
      own.map((it) => it.deviceKey),
    ),
    (it) => it.deviceKey,
  );
  const seen = [
    ...own.map((it) => ({ ...it, added: onDevices.get(it.deviceKey) ?? [] })),
    ...listed.filter(isNamed).map((it) => ({ ...it, added: [] })),
  ];
  // Nobody has signed here but the owners of the keys and the reader.
  const signers = new Map([...userKeys].map(([userId, userKey]) => [userKey, userId]));
  if (reader) signers.set(reader.userKey, reader.userId);

  const seesNames = reader !== undefined || hs.config.federation.tellDeviceNames;
  const byUser = Map.groupBy(seen, (it) => it.userKey);
  const deviceEntries = [...userKeys].map(([userId, userKey]) => [
    userId,
    Object.fromEntries(
      (byUser.get(userKey) ?? []).map((it) => [
        it.deviceId,
        { ...asSeen(it, it.added, signers), ...(seesNames && { unsigned: unsignedOf(it) }) },
      ]),
    ),
  ]);
  const onKeys = Map.groupBy(onUsers, keyName);
  const keysFor = (usage: Usage) =>
    Object.fromEntries(
      crossSigning
        .filter((it) => it.usage === usage)
        .map((row) => {
          const added = onKeys.get(keyName(row)) ?? [];
          return [signers.get(row.userKey), asSeen(row, added, signers)];
        }),
    ) as ByUser;
  return {
    device_keys: Object.fromEntries(deviceEntries) as QueriedKeys["device_keys"],
    master_keys: keysFor("master"),
    self_signing_keys: keysFor("self_signing"),
    user_signing_keys: ownOnly(keysFor("user_signing"), reader?.userId),
  };
}

type Signers = ReadonlyMap<number, UserId>;

function keyName({ userKey, usage }: { readonly userKey: number; readonly usage: string }): string {
  return `${userKey} ${usage}`;
}

function unsignedOf({ displayName }: KeyedDevice): object {
  return displayName === null ? {} : { device_display_name: displayName };
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
