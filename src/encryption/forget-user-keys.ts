import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { deleteCrossSigningOf } from "./queries-cross-signing.ts";
import { deleteBackups } from "./queries-key-backups.ts";

/**
 * Forgets the cross-signing keys of a user whose account has ended, with what they have signed, and the
 * key backups. Keys of devices go with the devices. To do it again changes nothing.
 *
 * @spec client-server-api#account-deactivation
 */
export async function forgetUserKeys(hs: Homeserver, userKey: number): Promise<void> {
  await deleteCrossSigningOf(hs.sql, userKey);
  await deleteBackups(hs.sql, userKey);
}
