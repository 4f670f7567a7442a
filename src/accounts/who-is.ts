import { findAccount } from "#src/auth/find-account.ts";
import { writeSightings } from "#src/auth/last-seen.ts";
import { devicesLastSeen } from "#src/devices/list-devices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { parseUserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";

/** From where somebody has used this server, by their devices, as it goes over the wire. */
export type WhoIs = {
  readonly user_id: string;
  readonly devices: Readonly<Record<string, { readonly sessions: readonly object[] }>>;
};

/**
 * From where a user has used this server: for the user and for administrators.
 *
 * @throws MatrixError M_FORBIDDEN; M_NOT_FOUND if there is no such account.
 * @spec client-server-api#get_matrixclientv3adminwhoisuserid
 */
export async function whoIs(hs: Homeserver, requester: Requester, target: string): Promise<WhoIs> {
  const userId = parseUserId(target);
  if (userId !== requester.userId && !requester.isAdmin) {
    throw new MatrixError("M_FORBIDDEN", "You are no administrator");
  }
  const account = await findAccount(hs, userId);
  if (!account) throw new MatrixError("M_NOT_FOUND", "There is no such account");
  // What this process has seen since it wrote that last is wanted, too.
  await writeSightings(hs);
  const devices = (await devicesLastSeen(hs, account)).map(
    ({ deviceId, ip, atMs: last_seen, userAgent: user_agent }) => {
      const connections =
        ip === null ? [] : [{ ip, last_seen, ...(user_agent !== null && { user_agent }) }];
      return [deviceId, { sessions: [{ connections }] }] as const;
    },
  );
  return { user_id: userId, devices: Object.fromEntries(devices) };
}
