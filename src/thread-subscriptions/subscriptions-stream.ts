import type { Position } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Change, Outcome, Placed, Stream } from "#src/streams/stream.ts";
import {
  type SubscriptionRow,
  subscriptionsAt,
  subscriptionsBetween,
  upsertSubscriptions,
} from "./queries-subscriptions.ts";

/** The name of the stream, in every `Change` of it. */
export const THREAD_SUBSCRIPTIONS = "thread-subscriptions";

/** What a user wants to become of their subscription to a thread. */
export type SubscriptionWrite = {
  readonly userKey: number;
  readonly rootKey: number;
  readonly roomKey: number;
  readonly subscribed: boolean;
  /** When what made a client subscribe by itself came; undefined if the user did. */
  readonly cause?: Position | undefined;
};

/** Which threads users want to hear of: MSC4306. */
export const subscriptionsStream: Stream<SubscriptionWrite, void> = {
  name: THREAD_SUBSCRIPTIONS,

  look: async (_hs, lane, writes) => await subscriptionsAt(lane, writes),

  async store(_hs, lane, placed, looked) {
    const current = new Map((looked as SubscriptionRow[]).map((it) => [keyOf(it), it]));
    const changed = new Map<string, SubscriptionRow>();
    const outcomes = placed.map((it): Outcome<void> => {
      const before = current.get(keyOf(it.write));
      if (isOvertaken(it.write, before)) return { ok: false, error: conflicting() };
      const row = rowOf(it, before);
      if (!row) return { ok: true, result: undefined, changes: [] };
      current.set(keyOf(row), row);
      changed.set(keyOf(row), row);
      return { ok: true, result: undefined, changes: [changeOf(row)] };
    });
    if (changed.size > 0) await upsertSubscriptions(lane, [...changed.values()]);
    return outcomes;
  },

  changesBetween: async (sql, after, upTo) =>
    (await subscriptionsBetween(sql, after, upTo)).map(changeOf),
};

/** Whether the user has unsubscribed after what a client would subscribe for: that they knew then. */
function isOvertaken({ cause }: SubscriptionWrite, before: SubscriptionRow | undefined): boolean {
  return cause !== undefined && before?.subscribed === false && cause <= before.position;
}

/** What a write makes of a subscription; undefined if it leaves it as it is. */
function rowOf(
  { write, position }: Placed<SubscriptionWrite>,
  before: SubscriptionRow | undefined,
): SubscriptionRow | undefined {
  const { userKey, rootKey, roomKey, subscribed, cause } = write;
  const row = { userKey, rootKey, roomKey, subscribed, position };
  if (!subscribed) return before?.subscribed ? { ...row, automatic: false } : undefined;
  const automatic = cause !== undefined;
  // What the user wants themselves a client does not take back.
  const isSame = before?.subscribed && (before.automatic === automatic || automatic);
  return isSame ? undefined : { ...row, automatic };
}

function keyOf({ userKey, rootKey }: Pick<SubscriptionRow, "userKey" | "rootKey">): string {
  return `${userKey} ${rootKey}`;
}

function changeOf({ userKey, position }: SubscriptionRow): Change {
  return { position, stream: THREAD_SUBSCRIPTIONS, userKey };
}

function conflicting(): MatrixError {
  return new MatrixError(
    "IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION",
    "You have unsubscribed since",
  );
}
