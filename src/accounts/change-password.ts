import { changeAccount } from "#src/auth/accounts-stream.ts";
import { hashPassword } from "#src/auth/password-hash.ts";
import type { DeviceOwner } from "#src/devices/create-device.ts";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";

/**
 * Gives an account another password, and in the same moment logs out whom the old one has let in, if that is wanted.
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
  const change = async () => await changeAccount(hs, owner.userKey, { passwordHash });
  const { logOut, except } = devices;
  if (logOut) await deleteDevices(hs, owner, "all", { except, also: change });
  else await change();
  hs.log.info({ userId: owner.userId }, "changed a password");
}
