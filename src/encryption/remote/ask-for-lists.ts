import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserDevicesAnswer, UserKeysAnswer } from "#src/homeserver/remotes.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import { readRemoteDevice, readRemoteKeys, type RemoteList } from "./remote-list.ts";

const NO_DEVICES: RemoteList = { streamId: undefined, devices: [], keys: [] };

/**
 * Asks a server for the devices of some of its users: of one with the number of the last change, of
 * several at once without.
 *
 * @returns undefined if it does not say. Whom it does not know has no devices.
 * @spec server-server-api#get_matrixfederationv1userdevicesuserid
 * @spec server-server-api#post_matrixfederationv1userkeysquery
 */
export async function askForLists(
  hs: Homeserver,
  server: ServerName,
  { userIds, timeoutMs }: { readonly userIds: readonly UserId[]; readonly timeoutMs: number },
): Promise<ReadonlyMap<UserId, RemoteList> | undefined> {
  const [userId, ...others] = userIds;
  if (userId === undefined) return new Map();
  if (others.length === 0) {
    const answer = await hs.remotes.getUserDevices(server, { userId }, { timeoutMs });
    if (answer.ok) return new Map([[userId, listOfOne(userId, answer.body)]]);
    const isUnknown = answer.why === "refused" && answer.status === 404;
    return isUnknown ? new Map([[userId, NO_DEVICES]]) : undefined;
  }
  const device_keys = Object.fromEntries(userIds.map((it) => [it, []]));
  const answer = await hs.remotes.queryUserEncryptionKeys(server, { device_keys }, { timeoutMs });
  if (!answer.ok) return undefined;
  return new Map(userIds.map((it) => [it, listOfMany(it, answer.body)]));
}

function listOfOne(userId: UserId, body: UserDevicesAnswer): RemoteList {
  return {
    streamId: body.stream_id,
    devices: body.devices.flatMap(
      ({ device_id, keys, device_display_name: name }) =>
        readRemoteDevice(userId, device_id, { keys, name }) ?? [],
    ),
    keys: readRemoteKeys(userId, { master: body.master_key, selfSigning: body.self_signing_key }),
  };
}

function listOfMany(userId: UserId, body: UserKeysAnswer): RemoteList {
  const devices = body.device_keys.get(userId) ?? new Map<string, unknown>();
  return {
    streamId: undefined,
    devices: [...devices].flatMap(
      ([deviceId, keys]) => readRemoteDevice(userId, deviceId, { keys }) ?? [],
    ),
    keys: readRemoteKeys(userId, {
      master: body.master_keys.get(userId),
      selfSigning: body.self_signing_keys.get(userId),
    }),
  };
}
