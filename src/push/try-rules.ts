import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import { MAIN_TIMELINE } from "#src/events/threads.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { slices } from "#src/homeserver/slices.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import { runStepsInSlices } from "#src/kit/steps.ts";
import { pushRuleSteps } from "#src/push-rules/evaluate-push-rules.ts";
import type { Action, Ruleset } from "#src/push-rules/push-rule.ts";
import { type Owner, userPushRulesOf } from "#src/push-rules/stored-push-rules.ts";
import {
  knowsThreadRules,
  rulesetOf,
  type UserPushRules,
} from "#src/push-rules/user-push-rules.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { threadOf } from "#src/rooms/thread-of.ts";
import { subscribedThreadsOf } from "#src/thread-subscriptions/subscribed-threads.ts";
import { visibleEvents } from "#src/timeline/visible-events.ts";
import { displayNameIn, roomContextOf } from "./room-context.ts";
import type { RoomUnreads } from "./room-unreads.ts";

/** Whose rules are tried, and what decides beside them. */
export type Reader = {
  readonly owner: Owner;
  readonly rules: UserPushRules;
  /** The IDs of the users whom the reader ignores. */
  readonly ignored: ReadonlySet<string>;
  /** The roots of the threads that they have subscribed to; undefined if that does not matter. */
  readonly threads: ReadonlySet<EventId> | undefined;
};

/** An event of which a user is to be told, and how. */
export type Notable = {
  readonly event: StoredEvent;
  readonly actions: readonly Action[];
  readonly highlight: boolean;
};

/** A user with what decides about what they are told of. */
export async function readerOf(hs: Homeserver, owner: Owner): Promise<Reader> {
  const [rules, ignored] = await Promise.all([
    userPushRulesOf(hs, owner.userKey),
    ignoredUsersOf(hs, owner.userKey),
  ]);
  const asks = knowsThreadRules(rules);
  const threads = asks ? await subscribedThreadsOf(hs, owner.userKey) : undefined;
  return { owner, rules, ignored, threads };
}

/**
 * Those of a room's events of which a user is to be told: by their rules, and only if others have sent them,
 * nobody whom they ignore, and nobody has taken them back. Of what came among forks, only what they may see.
 *
 * @spec client-server-api#push-rules
 */
export async function tryRules(
  hs: Homeserver,
  { owner, rules, ignored, threads }: Reader,
  its: {
    readonly room: RoomUnreads;
    readonly roomId: RoomId;
    readonly events: readonly StoredEvent[];
  },
): Promise<Notable[]> {
  const { room, roomId } = its;
  const hidden = await hiddenInForks(hs, owner, its.events);
  const others = its.events.filter(
    (it) =>
      it.senderKey !== owner.userKey &&
      !ignored.has(it.sender) &&
      it.redactedBy === undefined &&
      !hidden.has(it),
  );
  if (others.length === 0) return [];
  const ruleset = rulesetOf(owner.userId, rules);
  const { memberCount, levels } = await roomContextOf(hs, room);
  const displayName = asksForName(ruleset)
    ? await displayNameIn(hs, room.roomKey, owner.userId)
    : undefined;
  const pause = slices();
  const notable: Notable[] = [];
  for (const event of others) {
    const { type, content, sender, stateKey } = event;
    const state = stateKey === undefined ? {} : { state_key: stateKey };
    const thread = threads && (await threadOf(hs, event));
    const steps = pushRuleSteps(
      ruleset,
      { type, content, sender, room_id: roomId, ...state },
      {
        memberCount,
        displayName,
        isSubscribed:
          thread === undefined || thread === MAIN_TIMELINE ? undefined : threads?.has(thread),
        senderMayNotify: (key) =>
          levels !== undefined && levels.powerOf(sender) >= levels.notificationLevel(key),
      },
    );
    const { notify, highlight, actions } = await runStepsInSlices(steps, pause);
    if (notify) notable.push({ event, actions, highlight });
  }
  return notable;
}

/** What a user may not see though they are joined: in another fork they may not be. */
async function hiddenInForks(
  hs: Homeserver,
  owner: Owner,
  events: readonly StoredEvent[],
): Promise<ReadonlySet<StoredEvent>> {
  const forked = events.filter((it) => it.amongForks);
  const seen = new Set(await visibleEvents(hs, owner, forked));
  return new Set(forked.filter((it) => !seen.has(it)));
}

function asksForName({ override, underride }: Ruleset): boolean {
  return [...override, ...underride].some(
    (it) => it.enabled && it.conditions?.some(({ kind }) => kind === "contains_display_name"),
  );
}
