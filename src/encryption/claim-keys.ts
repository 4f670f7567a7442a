import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { groupToObject } from "#src/kit/group-to-object.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import { encryptionStream } from "./encryption-stream.ts";
import type { KeyClaim } from "./key-schemas.ts";
import { findDevices } from "./queries-keys.ts";
import { entriesByUser } from "./read-user-ids.ts";
import { type Failures, unreachable, usersByServer } from "./remote-keys.ts";

/** By user, then by device ID, then by the key's algorithm and ID. */
export type ClaimedKeys = Readonly<Record<string, Readonly<Record<string, object>>>>;

/** Of each user, of which devices a key of which algorithm is wanted. */
export type WantedKeys = ReadonlyMap<UserId, Readonly<Record<string, string>>>;

/**
 * Takes one key of each device that is named.
 *
 * @throws MatrixError M_INVALID_PARAM if a user ID is malformed.
 * @spec client-server-api#post_matrixclientv3keysclaim
 */
export async function claimKeys(
  hs: Homeserver,
  claim: KeyClaim,
): Promise<{ one_time_keys: ClaimedKeys; failures: Failures }> {
  const wanted = new Map(entriesByUser(claim.one_time_keys));
  const { local, remote } = usersByServer(hs, [...wanted.keys()]);
  const ours = new Map(local.map((userId) => [userId, wanted.get(userId) ?? {}]));
  return {
    one_time_keys: await claimLocalKeys(hs, ours),
    failures: unreachable(remote.keys()),
  };
}

/** Takes one key of each device of users of this server. Devices that have none are left out. */
export async function claimLocalKeys(hs: Homeserver, wanted: WantedKeys): Promise<ClaimedKeys> {
  const userKeys = await findUserKeys(hs, wanted.keys());
  const named = [...wanted].flatMap(([userId, devices]) => {
    const userKey = userKeys.get(userId);
    if (userKey === undefined) return [];
    return Object.entries(devices).map(([deviceId, algorithm]) => ({
      userId,
      userKey,
      deviceId,
      algorithm,
    }));
  });
  if (named.length === 0) return {};
  const found = new Map((await findDevices(hs.sql, named)).map((it) => [idKey(it), it.deviceKey]));
  const claims = named.flatMap((it) => {
    const deviceKey = found.get(idKey(it));
    return deviceKey === undefined ? [] : [{ ...it, deviceKey }];
  });
  if (claims.length === 0) return {};
  const { claimed = [] } = await write(hs, encryptionStream, { kind: "claim", claims });
  const keys = new Map(claimed.map((it) => [it.deviceKey, it]));
  const given = claims.flatMap((it) => {
    const key = keys.get(it.deviceKey);
    return key ? [{ ...it, key }] : [];
  });
  return groupToObject(
    given,
    (it) => it.userId,
    (ofUser) =>
      groupToObject(
        ofUser,
        (it) => it.deviceId,
        ([{ key }]): object => ({ [`${key.algorithm}:${key.keyId}`]: JSON.parse(key.json) }),
      ),
  );
}

function idKey({ userKey, deviceId }: { userKey: number; deviceId: string }): string {
  return `${userKey} ${deviceId}`;
}
