import { forgetTransactions } from "#federation/inbound/job-forget-transactions.ts";
import { settlePdus } from "#federation/inbound/job-settle-pdus.ts";
import { forgetUnusedKeys } from "#federation/keys/job-forget-unused-keys.ts";
import { followOwed } from "#federation/outbound/follow-streams.ts";
import { forgetDestinations } from "#federation/outbound/job-forget-destinations.ts";
import { accountDataStream } from "#src/account-data/account-data-stream.ts";
import { finishDeactivations } from "#src/accounts/leave-rooms.ts";
import { accountsStream } from "#src/auth/accounts-stream.ts";
import {
  expireOneTimeTokens,
  expireOpenIdTokens,
  expireUiaSessions,
  forgetExpiredTokens,
} from "#src/auth/job-forget-expired.ts";
import { devicesStream } from "#src/devices/devices-stream.ts";
import {
  expireReceivedMessages,
  expireToDeviceTransactions,
} from "#src/devices/job-expire-transactions.ts";
import { toDeviceStream } from "#src/devices/to-device-stream.ts";
import { encryptionStream } from "#src/encryption/encryption-stream.ts";
import { forgetRemoteLists } from "#src/encryption/remote/job-forget-lists.ts";
import { forgetTyping } from "#src/ephemeral/job-forget-typing.ts";
import { receiptsStream } from "#src/ephemeral/receipts-stream.ts";
import { typingStream } from "#src/ephemeral/typing-stream.ts";
import type { Job } from "#src/jobs/job.ts";
import { removeExpiredUploads } from "#src/media/job-remove-expired-uploads.ts";
import { sweepBlobs } from "#src/media/job-sweep-blobs.ts";
import { forgetRemoteMedia } from "#src/media/remote/job-forget-copies.ts";
import { dismissGuests } from "#src/membership/job-dismiss-guests.ts";
import { tellLeaves } from "#src/membership/outside/job-tell-leaves.ts";
import { endAbsentPresence, forgetPresence } from "#src/presence/job-end-presence.ts";
import { presenceStream } from "#src/presence/presence-stream.ts";
import { forgetPreviews } from "#src/previews/job-forget-previews.ts";
import { pushRulesStream } from "#src/push-rules/push-rules-stream.ts";
import { forgetReadHighlights } from "#src/push/job-forget-read-highlights.ts";
import { followPushed } from "#src/pushers/follow-streams.ts";
import { expireRendezvous } from "#src/rendezvous/sessions.ts";
import { forgetReports } from "#src/reports/job-forget-reports.ts";
import { eventsStream } from "#src/rooms/events-stream.ts";
import { fillOwedHoles } from "#src/rooms/holes/job-fill-holes.ts";
import { redactSendersJob } from "#src/rooms/mass-redaction/redact-senders.ts";
import { senderRedactionsStream } from "#src/rooms/mass-redaction/sender-redactions-stream.ts";
import { fetchMembers } from "#src/rooms/partial/job-fetch-members.ts";
import { keepStickyJob } from "#src/rooms/sticky/keep-sticky.ts";
import { stickyStream } from "#src/rooms/sticky/sticky-stream.ts";
import { followForSearch } from "#src/search/follow-events.ts";
import { forgetDelayedEvents } from "#src/sending/job-forget-delayed-events.ts";
import { forgetConnections } from "#src/sliding-sync/job-forget-connections.ts";
import type { Follower } from "#src/streams/follower.ts";
import type { Stream } from "#src/streams/stream.ts";
import { subscriptionsStream } from "#src/thread-subscriptions/subscriptions-stream.ts";
import { followUserDirectory } from "#src/users/follow-events.ts";
import { forgetHeardProfiles } from "#src/users/hear-profiles.ts";
import { profilesStream } from "#src/users/profiles-stream.ts";
import { tellRoomsOfProfiles } from "#src/users/tell-rooms.ts";

/** Everything that happens here and can be observed, by kind. Whoever follows the streams follows all. */
export const STREAMS: readonly Stream<never, unknown>[] = [
  eventsStream,
  accountDataStream,
  pushRulesStream,
  receiptsStream,
  typingStream,
  presenceStream,
  devicesStream,
  toDeviceStream,
  encryptionStream,
  accountsStream,
  subscriptionsStream,
  profilesStream,
  senderRedactionsStream,
  stickyStream,
];

/** All that is done because the streams moved, a transaction at a time. */
export const FOLLOWERS: readonly Follower[] = [followOwed, followPushed];

/** All work that comes round. */
export const JOBS: readonly Job[] = [
  forgetReadHighlights,
  forgetTyping,
  endAbsentPresence,
  forgetPresence,
  removeExpiredUploads,
  sweepBlobs,
  forgetRemoteMedia,
  expireUiaSessions,
  expireRendezvous,
  expireOneTimeTokens,
  expireOpenIdTokens,
  forgetExpiredTokens,
  expireToDeviceTransactions,
  expireReceivedMessages,
  forgetRemoteLists,
  finishDeactivations,
  tellRoomsOfProfiles,
  forgetHeardProfiles,
  followUserDirectory,
  followForSearch,
  forgetReports,
  forgetUnusedKeys,
  forgetDestinations,
  forgetTransactions,
  fillOwedHoles,
  fetchMembers,
  tellLeaves,
  dismissGuests,
  settlePdus,
  redactSendersJob,
  keepStickyJob,
  forgetConnections,
  forgetDelayedEvents,
  forgetPreviews,
];
