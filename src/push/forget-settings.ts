import { forgetAccountData } from "#src/account-data/account-data.ts";
import { forgetFilters } from "#src/filters/stored-filters.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { forgetPushRules } from "#src/push-rules/stored-push-rules.ts";
import { forgetSubscriptions } from "#src/thread-subscriptions/subscribe.ts";
import { deleteReads } from "./queries-unread.ts";

/**
 * Forgets all that a user has set for themselves, when their account has ended and they are in no room
 * any more: account data, filters, push rules, subscriptions to threads, and how far they have read. Receipts stay, which others
 * have seen. To do it again changes nothing.
 *
 * @spec client-server-api#account-deactivation
 */
export async function forgetSettings(hs: Homeserver, userKey: number): Promise<void> {
  await forgetAccountData(hs, userKey);
  await forgetFilters(hs, userKey);
  await forgetPushRules(hs, userKey);
  await forgetSubscriptions(hs, userKey);
  await deleteReads(hs.sql, userKey);
}
