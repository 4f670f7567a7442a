import { queryUnregistered } from "#src/appservices/query-on-demand.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { invitePermissionsOf } from "./invite-permissions.ts";

/**
 * Refuses an invitation that a user of this server does not want; those whom only an application service knows it may
 * make before they are invited. Those of users of other servers are for these
 * to refuse.
 *
 * @throws MatrixError M_INVITE_BLOCKED
 * @spec client-server-api#invite-permission
 */
export async function requireInvitable(
  hs: Homeserver,
  sender: UserId,
  targets: readonly UserId[],
): Promise<void> {
  const ours = targets.filter((it) => it !== sender && serverNameOf(it) === hs.name);
  if (ours.length === 0) return;
  await queryUnregistered(hs, ours);
  const keys = await findUserKeys(hs, ours);
  const verdicts = await Promise.all(
    [...keys.values()].map(async (userKey) => (await invitePermissionsOf(hs, userKey))(sender)),
  );
  if (!verdicts.includes("block")) return;
  throw new MatrixError("M_INVITE_BLOCKED", "The user does not want to be invited by you");
}
