import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName, UserId } from "#src/kit/identifiers.ts";
import type { ClaimedKeys, WantedKeys } from "../claimed-keys.ts";
import { type Failures, serversToAsk, unreachable } from "../remote-keys.ts";

/**
 * Takes keys of devices of users of other servers. All servers are asked at once, each for all of its.
 *
 * @spec server-server-api#post_matrixfederationv1userkeysclaim
 */
export async function claimRemoteKeys(
  hs: Homeserver,
  {
    wanted,
    remote,
    timeoutMs,
  }: {
    readonly wanted: WantedKeys;
    readonly remote: ReadonlyMap<ServerName, readonly UserId[]>;
    readonly timeoutMs: number;
  },
): Promise<{ claimed: ClaimedKeys; failures: Failures }> {
  const claimed: [UserId, Record<string, object>][] = [];
  const failed: ServerName[] = [];
  const servers = serversToAsk(remote.keys());
  await Promise.all(
    [...remote].map(async ([server, userIds]) => {
      if (!servers.has(server)) {
        failed.push(server);
        return;
      }
      const one_time_keys = Object.fromEntries(userIds.map((it) => [it, wanted.get(it) ?? {}]));
      const question = { one_time_keys };
      const answer = await hs.remotes.claimUserEncryptionKeys(server, question, { timeoutMs });
      if (!answer.ok) {
        failed.push(server);
        return;
      }
      for (const userId of userIds) {
        const devices = answer.body.one_time_keys.get(userId);
        if (devices) claimed.push([userId, onlyWanted(devices, wanted.get(userId) ?? {})]);
      }
    }),
  );
  return { claimed: Object.fromEntries(claimed), failures: unreachable(failed) };
}

/** Nobody wants keys of devices that they have not named. */
function onlyWanted(
  devices: ReadonlyMap<string, ReadonlyMap<string, unknown>>,
  wanted: Readonly<Record<string, string>>,
): Record<string, object> {
  const named = [...devices].filter(([deviceId]) => Object.hasOwn(wanted, deviceId));
  return Object.fromEntries(named.map(([deviceId, keys]) => [deviceId, Object.fromEntries(keys)]));
}
