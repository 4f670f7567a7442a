import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { groupToObject } from "#src/kit/group-to-object.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import type { ClaimedKeys, WantedKeys } from "./claimed-keys.ts";
import { encryptionStream } from "./encryption-stream.ts";
import { type KeyClaim, waitMsOf } from "./key-schemas.ts";
import { findDevices } from "./queries-keys.ts";
import { entriesByUser } from "./read-user-ids.ts";
import { type Failures, usersByServer } from "./remote-keys.ts";
import { claimRemoteKeys } from "./remote/claim-remote-keys.ts";

/**
 * Takes one key of each device that is named; of devices of users of other servers by asking those.
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
  const [own, others] = await Promise.all([
    claimLocalKeys(hs, ours),
    claimRemoteKeys(hs, { wanted, remote, timeoutMs: waitMsOf(claim) }),
  ]);
  return { one_time_keys: { ...own, ...others.claimed }, failures: others.failures };
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
