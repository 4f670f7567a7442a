import { type InteractiveCall, requireUserInteractive } from "#src/auth/user-interactive.ts";
import type { DeviceOwner } from "#src/devices/create-device.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { OperationId } from "#src/kit/operation-ids.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";

/**
 * Requires that the owner of an account proves to be it, with or without an access token: without
 * one, the user is the one whose password is given.
 *
 * @throws MatrixError what `requireUserInteractive` throws.
 */
export async function requireOwner(
  hs: Homeserver,
  call: InteractiveCall,
  operation: OperationId,
): Promise<DeviceOwner> {
  const proof = await requireUserInteractive(hs, call, { operation });
  if (call.requester) return call.requester;
  const userKey = proof.userKey;
  const userId = userKey === undefined ? undefined : (await userIdsOf(hs, [userKey])).get(userKey);
  if (userKey === undefined || !userId) {
    throw new MatrixError("M_FORBIDDEN", "No account was proved to be yours");
  }
  return { userKey, userId };
}
