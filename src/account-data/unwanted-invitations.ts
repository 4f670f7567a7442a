import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { ignoredUsersOf } from "./ignored-users.ts";
import { invitePermissionsOf } from "./invite-permissions.ts";

/**
 * Those of some invitations of which a user is not told: by people whom they ignore, or whose invitations they do
 * not want.
 *
 * @param eventKeys of the member events.
 */
export async function unwantedInvitations(
  hs: Homeserver,
  userKey: number,
  eventKeys: readonly number[],
): Promise<ReadonlySet<number>> {
  if (eventKeys.length === 0) return new Set();
  const [ignored, permissions, events] = await Promise.all([
    ignoredUsersOf(hs, userKey),
    invitePermissionsOf(hs, userKey),
    eventsOf(hs, eventKeys),
  ]);
  const unwanted = [...events.values()].filter(
    ({ sender }) => ignored.has(sender) || permissions(sender) !== "allow",
  );
  return new Set(unwanted.map((it) => it.eventKey));
}
