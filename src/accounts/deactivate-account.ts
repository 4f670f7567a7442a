import { changeAccount } from "#src/auth/accounts-stream.ts";
import type { DeviceOwner } from "#src/devices/create-device.ts";
import { deleteDevices } from "#src/devices/delete-devices.ts";
import { forgetUserKeys } from "#src/encryption/forget-user-keys.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { clearProfile } from "#src/users/set-profile.ts";
import { leaveRoomsSoon } from "./leave-rooms.ts";

/**
 * Ends an account: nobody can log in to it again, nor have its user ID. Its devices, keys and profile
 * are gone when this returns; its rooms are left after that, also if the process ends meanwhile.
 *
 * @param erase whether the user wants their content to be erased where it can be.
 * @spec client-server-api#account-deactivation
 */
export async function deactivateAccount(
  hs: Homeserver,
  owner: DeviceOwner,
  { erase }: { readonly erase: boolean },
): Promise<void> {
  await changeAccount(hs, owner.userKey, { deactivatedAtMs: hs.now(), isErased: erase });
  await forgetUserKeys(hs, owner.userKey);
  await deleteDevices(hs, owner, "all");
  await clearProfile(hs, owner.userKey);
  leaveRoomsSoon(hs, owner);
  hs.log.info({ userId: owner.userId, erase }, "deactivated an account");
}
