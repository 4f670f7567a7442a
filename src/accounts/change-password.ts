import { changeAccount } from "#src/auth/accounts-stream.ts";
import { endOneTimeTokensOf } from "#src/auth/one-time-tokens.ts";
import { hashPassword } from "#src/auth/password-hash.ts";
import { forgetProved } from "#src/auth/recent-proof.ts";
import type { DeviceOwner } from "#src/devices/create-device.ts";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";

/**
 * Gives an account another password.
 *
 * @param devices whether to log out all devices, and the ID of the one that stays all the same.
 * @throws MatrixError M_WEAK_PASSWORD, M_INVALID_PARAM for the password.
 * @spec client-server-api#post_matrixclientv3accountpassword
 */
export async function changePassword(
  hs: Homeserver,
  owner: DeviceOwner,
  password: string,
  devices: { readonly logOut: boolean; readonly except?: string | undefined },
): Promise<void> {
  const passwordHash = await hashPassword(hs, password);
  await changeAccount(hs, owner.userKey, { passwordHash });
  await forgetProved(hs, owner.userKey);
  if (devices.logOut) {
    await deleteDevices(hs, owner, "all", devices.except);
    await endOneTimeTokensOf(hs, "login", owner.userKey);
  }
  hs.log.info({ userId: owner.userId }, "changed a password");
}
