import type { Pdu } from "#src/events/pdu.ts";
import type { EventId } from "#src/kit/identifiers.ts";

/**
 * Events in an order in which each comes after those of them that it names as its `prev_events` and
 * `auth_events`; where that leaves a choice, in the order in which they are given.
 *
 * @returns without those that name each other in a circle, and those that name these: they cannot be
 *   what they say.
 */
export function inOrder<T extends { readonly event: Pdu }>(events: readonly T[]): T[] {
  const left = new Map<EventId, { it: T; waitsFor: number }>();
  const followers = new Map<EventId, EventId[]>();
  for (const it of events) left.set(it.event.event_id, { it, waitsFor: 0 });
  for (const [id, own] of left) {
    for (const named of new Set([...own.it.event.prev_events, ...own.it.event.auth_events])) {
      if (!left.has(named)) continue;
      own.waitsFor++;
      const others = followers.get(named);
      if (others) others.push(id);
      else followers.set(named, [id]);
    }
  }
  const ordered: T[] = [];
  const ready = [...left.values()].filter((it) => it.waitsFor === 0);
  for (const { it } of ready) {
    ordered.push(it);
    for (const id of followers.get(it.event.event_id) ?? []) {
      const follower = left.get(id);
      if (follower && --follower.waitsFor === 0) ready.push(follower);
    }
  }
  return ordered;
}
