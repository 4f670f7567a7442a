import { findAccount } from "#src/auth/find-account.ts";
import { listDevices } from "#src/devices/list-devices.ts";
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
  const devices = (await listDevices(hs, account)).map(
    ({ device_id, last_seen_ip: ip, last_seen_ts: last_seen }) => {
      const connections = ip === undefined ? [] : [{ ip, last_seen }];
      return [device_id, { sessions: [{ connections }] }] as const;
    },
  );
  return { user_id: userId, devices: Object.fromEntries(devices) };
}
