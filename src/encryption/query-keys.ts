import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { waitMsOf, type KeyQuery } from "./key-schemas.ts";
import { entriesByUser } from "./read-user-ids.ts";
import { type Failures, usersByServer } from "./remote-keys.ts";
import { refreshLists } from "./remote/refresh-lists.ts";
import type { RemoteList } from "./remote/remote-list.ts";
import { type QueriedKeys, storedKeys } from "./stored-keys.ts";

/**
 * The keys of users and their devices. Those of users of other servers are asked for where we do not
 * have them; what a server that does not answer told us before is given all the same.
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
  const { remote } = usersByServer(hs, [...wanted.keys()]);
  const userIds = [...remote.values()].flat();
  const { unshared, failures } = await refreshLists(hs, userIds, waitMsOf(query));
  const stored = new Map([...wanted].filter(([userId]) => !unshared.has(userId)));
  const keys = await storedKeys(hs, stored, requester);
  return { ...withLists(keys, unshared, wanted), failures };
}

/** Adds what has been asked for and is not stored. */
function withLists(
  keys: QueriedKeys,
  lists: ReadonlyMap<UserId, RemoteList>,
  wanted: ReadonlyMap<UserId, readonly string[]>,
): QueriedKeys {
  if (lists.size === 0) return keys;
  const devices = [...lists].map(([userId, list]) => {
    const ids = wanted.get(userId) ?? [];
    const named = list.devices.filter((it) => ids.length === 0 || ids.includes(it.deviceId));
    return [userId, Object.fromEntries(named.map((it) => [it.deviceId, asSeen(it)]))] as const;
  });
  const keysFor = (usage: string) =>
    Object.fromEntries(
      [...lists].flatMap(([userId, list]) => {
        const key = list.keys.find((it) => it.usage === usage);
        return key ? [[userId, JSON.parse(key.json)]] : [];
      }),
    );
  return {
    ...keys,
    device_keys: { ...keys.device_keys, ...Object.fromEntries(devices) },
    master_keys: { ...keys.master_keys, ...keysFor("master") },
    self_signing_keys: { ...keys.self_signing_keys, ...keysFor("self_signing") },
  };
}

function asSeen({ json, displayName }: RemoteList["devices"][number]): object {
  const unsigned = displayName === null ? {} : { device_display_name: displayName };
  return { ...(JSON.parse(json) as object), unsigned };
}
