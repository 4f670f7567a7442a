import { findAccount } from "#src/auth/find-account.ts";
import { ROOM_VERSIONS } from "#src/events/room-versions.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";

/**
 * What a user may do here, under the wire's names.
 *
 * @spec client-server-api#capabilities-negotiation
 */
export async function capabilitiesOf(
  hs: Homeserver,
  requester: Requester,
): Promise<Record<string, unknown>> {
  const account = await findAccount(hs, requester.userId);
  const hasPassword = account?.passwordHash !== undefined;
  const profileFields = { enabled: true };
  return {
    "m.change_password": { enabled: hasPassword },
    "m.room_versions": {
      default: hs.config.rooms.defaultVersion,
      available: Object.fromEntries([...ROOM_VERSIONS.keys()].map((it) => [it, "stable"])),
    },
    "m.set_displayname": { enabled: true },
    "m.set_avatar_url": { enabled: true },
    "m.3pid_changes": { enabled: false },
    // It takes the password to make one.
    "m.get_login_token": { enabled: hasPassword },
    "org.matrix.msc3882.get_login_token": { enabled: hasPassword },
    "m.profile_fields": profileFields,
    "uk.tcpip.msc4133.profile_fields": profileFields,
    "io.element.msc4452.preview_url": { enabled: hs.config.previews.enabled },
    "org.matrix.msc4140.delayed_events": {
      max_delay_ms: hs.config.delayedEvents.maxDelayMs,
      max_scheduled: hs.config.delayedEvents.maxScheduled,
    },
    ...(requester.isAdmin && { "m.account_moderation": { suspend: true, lock: true } }),
  };
}
