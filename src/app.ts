import { publicRoomsForServersEndpoints } from "#federation/directory/routes/public-rooms.ts";
import { hierarchyForServersEndpoints } from "#federation/directory/routes/space-hierarchy.ts";
import { inviteHandshakeEndpoints } from "#federation/handshakes/routes/invites.ts";
import { joinHandshakeEndpoints } from "#federation/handshakes/routes/joins.ts";
import { knockHandshakeEndpoints } from "#federation/handshakes/routes/knocks.ts";
import { leaveHandshakeEndpoints } from "#federation/handshakes/routes/leaving.ts";
import { directoryQueryEndpoints } from "#federation/handshakes/routes/query.ts";
import { thirdPartyInviteEndpoints } from "#federation/handshakes/routes/third-party-invite.ts";
import { backfillEndpoints } from "#federation/inbound/routes/backfill.ts";
import { eventAuthEndpoints } from "#federation/inbound/routes/event-auth.ts";
import { eventEndpoints } from "#federation/inbound/routes/events.ts";
import { transactionEndpoints } from "#federation/inbound/routes/transactions.ts";
import { checkOrigin } from "#federation/keys/check-origin.ts";
import { keyQueryEndpoints } from "#federation/keys/routes/keys-query.ts";
import { serverKeyEndpoints } from "#federation/keys/routes/keys-server.ts";
import { versionEndpoints as serverVersionEndpoints } from "#federation/keys/routes/version.ts";
import { contentRepositoryEndpoints } from "#federation/media/routes/content-repository.ts";
import { userInfoEndpoints } from "#federation/users/routes/openid.ts";
import { profileQueryEndpoints } from "#federation/users/routes/query.ts";
import { userDeviceEndpoints } from "#federation/users/routes/user-devices.ts";
import { userKeyEndpoints } from "#federation/users/routes/user-keys.ts";
import { accountDataEndpoints } from "#src/account-data/routes/account-data.ts";
import { tagEndpoints } from "#src/account-data/routes/tags.ts";
import { deactivationEndpoints } from "#src/accounts/routes/account-deactivation.ts";
import { moderationEndpoints } from "#src/accounts/routes/admin.ts";
import { administrativeContactEndpoints } from "#src/accounts/routes/administrative-contact.ts";
import { fallbackEndpoints } from "#src/accounts/routes/fallbacks.ts";
import { loginTokenEndpoints } from "#src/accounts/routes/login-token.ts";
import { loginEndpoints } from "#src/accounts/routes/login.ts";
import { logoutEndpoints } from "#src/accounts/routes/logout.ts";
import { openIdEndpoints } from "#src/accounts/routes/openid.ts";
import { passwordEndpoints } from "#src/accounts/routes/password-management.ts";
import { refreshEndpoints } from "#src/accounts/routes/refresh.ts";
import { registrationTokenEndpoints } from "#src/accounts/routes/registration-tokens.ts";
import { registrationEndpoints } from "#src/accounts/routes/registration.ts";
import { setupEndpoints } from "#src/accounts/routes/setup.ts";
import { sharedSecretEndpoints } from "#src/accounts/routes/synapse-register.ts";
import { registrationTokenAdminEndpoints } from "#src/accounts/routes/synapse-registration-tokens.ts";
import { whoamiEndpoints } from "#src/accounts/routes/whoami.ts";
import { appservicePingEndpoints } from "#src/appservices/routes/appservice-ping.ts";
import { thirdPartyLookupEndpoints } from "#src/appservices/routes/third-party-lookup.ts";
import { lookupToken } from "#src/auth/lookup-token.ts";
import { deviceManagementEndpoints } from "#src/devices/routes/device-management.ts";
import { toDeviceEndpoints } from "#src/devices/routes/to-device.ts";
import { appserviceDirectoryEndpoints } from "#src/directory/routes/appservice-room-directory.ts";
import { directoryEndpoints } from "#src/directory/routes/directory.ts";
import { publicRoomsEndpoints } from "#src/directory/routes/list-public-rooms.ts";
import { capabilitiesEndpoints } from "#src/discovery/routes/capabilities.ts";
import { healthEndpoints } from "#src/discovery/routes/health.ts";
import { retentionEndpoints } from "#src/discovery/routes/retention.ts";
import { rtcTransportEndpoints } from "#src/discovery/routes/rtc-transports.ts";
import { versionsEndpoints } from "#src/discovery/routes/versions.ts";
import { voipEndpoints } from "#src/discovery/routes/voip.ts";
import { wellKnownEndpoints } from "#src/discovery/routes/wellknown.ts";
import { dehydratedDeviceEndpoints } from "#src/encryption/dehydrated/routes/dehydrated-device.ts";
import { crossSigningEndpoints } from "#src/encryption/routes/cross-signing.ts";
import { keyBackupEndpoints } from "#src/encryption/routes/key-backup.ts";
import { keysEndpoints } from "#src/encryption/routes/keys.ts";
import { readMarkerEndpoints } from "#src/ephemeral/routes/read-markers.ts";
import { receiptEndpoints } from "#src/ephemeral/routes/receipts.ts";
import { typingEndpoints } from "#src/ephemeral/routes/typing.ts";
import { filterEndpoints } from "#src/filters/routes/filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Endpoint } from "#src/http/endpoint.ts";
import { type App, mount } from "#src/http/mount.ts";
import { authedContentRepoEndpoints } from "#src/media/routes/authed-content-repo.ts";
import { contentRepoEndpoints } from "#src/media/routes/content-repo.ts";
import { quarantineEndpoints } from "#src/media/routes/synapse-quarantine.ts";
import { createRoomEndpoints } from "#src/membership/routes/create-room.ts";
import { invitingEndpoints } from "#src/membership/routes/inviting.ts";
import { joiningEndpoints } from "#src/membership/routes/joining.ts";
import { leavingEndpoints } from "#src/membership/routes/leaving.ts";
import { roomUpgradeEndpoints } from "#src/membership/routes/room-upgrades.ts";
import { serverNoticeEndpoints } from "#src/notices/routes/synapse-server-notices.ts";
import { presenceEndpoints } from "#src/presence/routes/presence.ts";
import { previewEndpoints } from "#src/previews/routes/preview-url.ts";
import { pushRulesEndpoints } from "#src/push-rules/routes/pushrules.ts";
import { notificationEndpoints } from "#src/push/routes/notifications.ts";
import { mailEndpoints } from "#src/pushers/routes/mail.ts";
import { pusherEndpoints } from "#src/pushers/routes/pusher.ts";
import { rendezvousSessionEndpoints } from "#src/rendezvous/routes/rendezvous-sessions.ts";
import { rendezvousEndpoints } from "#src/rendezvous/routes/rendezvous.ts";
import { reportEndpoints } from "#src/reports/routes/report-content.ts";
import { searchEndpoints } from "#src/search/routes/search.ts";
import { delayedEventEndpoints } from "#src/sending/routes/delayed-events.ts";
import { roomSendEndpoints } from "#src/sending/routes/room-send.ts";
import { slidingSyncEndpoints } from "#src/sliding-sync/routes/sliding-sync.ts";
import { roomSummaryEndpoints } from "#src/spaces/routes/room-summary.ts";
import { spaceHierarchyEndpoints } from "#src/spaces/routes/space-hierarchy.ts";
import { oldSyncEndpoints } from "#src/sync/routes/old-sync.ts";
import { roomInitialSyncEndpoints } from "#src/sync/routes/room-initial-sync.ts";
import { syncEndpoints } from "#src/sync/routes/sync.ts";
import { threadSubscriptionEndpoints } from "#src/thread-subscriptions/routes/thread-subscriptions.ts";
import { messagePaginationEndpoints } from "#src/timeline/routes/message-pagination.ts";
import { relationsEndpoints } from "#src/timeline/routes/relations.ts";
import { eventByTimestampEndpoints } from "#src/timeline/routes/room-event-by-timestamp.ts";
import { roomsEndpoints } from "#src/timeline/routes/rooms.ts";
import { threadsListEndpoints } from "#src/timeline/routes/threads-list.ts";
import { mutualRoomsEndpoints } from "#src/users/routes/mutual-rooms.ts";
import { profileEndpoints } from "#src/users/routes/profile.ts";
import { userDirectoryEndpoints } from "#src/users/routes/users.ts";

/** Every route of this server. */
export const ENDPOINTS: readonly Endpoint[] = [
  ...versionsEndpoints,
  ...wellKnownEndpoints,
  ...rtcTransportEndpoints,
  ...voipEndpoints,
  ...retentionEndpoints,
  ...capabilitiesEndpoints,
  ...healthEndpoints,
  ...registrationEndpoints,
  ...registrationTokenEndpoints,
  ...sharedSecretEndpoints,
  ...setupEndpoints,
  ...loginEndpoints,
  ...fallbackEndpoints,
  ...loginTokenEndpoints,
  ...refreshEndpoints,
  ...logoutEndpoints,
  ...whoamiEndpoints,
  ...passwordEndpoints,
  ...administrativeContactEndpoints,
  ...openIdEndpoints,
  ...deactivationEndpoints,
  ...moderationEndpoints,
  ...registrationTokenAdminEndpoints,
  ...serverNoticeEndpoints,
  ...appservicePingEndpoints,
  ...thirdPartyLookupEndpoints,
  ...profileEndpoints,
  ...userDirectoryEndpoints,
  ...mutualRoomsEndpoints,
  ...reportEndpoints,
  ...deviceManagementEndpoints,
  ...toDeviceEndpoints,
  ...keysEndpoints,
  ...crossSigningEndpoints,
  ...keyBackupEndpoints,
  ...dehydratedDeviceEndpoints,
  ...rendezvousEndpoints,
  ...rendezvousSessionEndpoints,
  ...accountDataEndpoints,
  ...tagEndpoints,
  ...filterEndpoints,
  ...pushRulesEndpoints,
  ...pusherEndpoints,
  ...mailEndpoints,
  ...notificationEndpoints,
  ...receiptEndpoints,
  ...readMarkerEndpoints,
  ...typingEndpoints,
  ...presenceEndpoints,
  ...directoryEndpoints,
  ...publicRoomsEndpoints,
  ...appserviceDirectoryEndpoints,
  ...spaceHierarchyEndpoints,
  ...roomSummaryEndpoints,
  ...createRoomEndpoints,
  ...invitingEndpoints,
  ...joiningEndpoints,
  ...leavingEndpoints,
  ...roomUpgradeEndpoints,
  ...roomSendEndpoints,
  ...delayedEventEndpoints,
  ...syncEndpoints,
  ...oldSyncEndpoints,
  ...roomInitialSyncEndpoints,
  ...slidingSyncEndpoints,
  ...threadSubscriptionEndpoints,
  ...messagePaginationEndpoints,
  ...eventByTimestampEndpoints,
  ...relationsEndpoints,
  ...threadsListEndpoints,
  ...roomsEndpoints,
  ...searchEndpoints,
  ...contentRepoEndpoints,
  ...authedContentRepoEndpoints,
  ...quarantineEndpoints,
  ...previewEndpoints,
  ...serverVersionEndpoints,
  ...serverKeyEndpoints,
  ...keyQueryEndpoints,
  ...joinHandshakeEndpoints,
  ...knockHandshakeEndpoints,
  ...leaveHandshakeEndpoints,
  ...inviteHandshakeEndpoints,
  ...directoryQueryEndpoints,
  ...thirdPartyInviteEndpoints,
  ...transactionEndpoints,
  ...eventEndpoints,
  ...eventAuthEndpoints,
  ...backfillEndpoints,
  ...contentRepositoryEndpoints,
  ...publicRoomsForServersEndpoints,
  ...hierarchyForServersEndpoints,
  ...userInfoEndpoints,
  ...profileQueryEndpoints,
  ...userDeviceEndpoints,
  ...userKeyEndpoints,
];

/** The server's side of HTTP: all routes, and who may call them. */
export function appOf(hs: Homeserver): App {
  return mount(hs, ENDPOINTS, lookupToken, checkOrigin);
}
