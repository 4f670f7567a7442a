import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { subscriptionChanges } from "#src/thread-subscriptions/list-subscriptions.ts";
import { THREAD_SUBSCRIPTIONS } from "#src/thread-subscriptions/subscriptions-stream.ts";
import { tokenOf } from "#src/timeline/token.ts";
import { LIVE, noLongerLive, toldUpTo } from "../connection-state.ts";
import type { Around, Extension } from "./extension.ts";

const MOST = 100;

/** MSC4308: which threads the user has subscribed to, the newest first. */
export async function threadSubscriptionsExtension(
  hs: Homeserver,
  { request: { requester, extensions }, draft, position, upTo, changes }: Around,
): Promise<Extension | undefined> {
  const asked = extensions["io.element.msc4308.thread_subscriptions"];
  const told = draft.globals.threads;
  if (!asked?.enabled) {
    draft.setGlobals({ threads: noLongerLive(told, position) });
    return undefined;
  }
  draft.setGlobals({ threads: LIVE });
  const { userKey } = requester;
  const isNew = changes?.some((it) => it.stream === THREAD_SUBSCRIPTIONS && it.userKey === userKey);
  if (told === LIVE && isNew === false) return undefined;
  const { changes: value, olderUpTo } = await subscriptionChanges(hs, userKey, {
    after: toldUpTo(told, position) ?? 0,
    upTo,
    limit: Math.min(Math.max(asked.limit ?? MOST, 1), MOST),
  });
  if (Object.keys(value).length === 0) return undefined;
  const prev_batch =
    olderUpTo === undefined ? undefined : tokenOf({ anchor: olderUpTo, offset: 0 });
  return { value: { ...value, ...(prev_batch && { prev_batch }) }, isNews: true };
}
