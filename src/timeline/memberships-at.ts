import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { lookUpSlots } from "#src/rooms/state-map/look-up-slots.ts";
import { differences } from "#src/rooms/state-map/state-map.ts";
import { withNodes } from "#src/rooms/state-map/stored-nodes.ts";
import { findSlots, type StatePair } from "#src/rooms/state-slots.ts";

/** How many users are looked at at a time: mostly one of the first tells whoever asks enough. */
const USERS_AT_A_TIME = 500;

/** What any of some users are in states of a room, by the states' roots. */
export type MembershipsAt = ReadonlyMap<number, ReadonlySet<unknown>>;

/**
 * What users are in states of a room: of some users after the other. They are looked up in one of the states; of each
 * other only that is looked at in which it differs from the one before it.
 *
 * @param roots the states' roots.
 */
export async function* membershipsAt(
  hs: Homeserver,
  roots: readonly number[],
  users: readonly UserId[],
): AsyncGenerator<MembershipsAt, void> {
  // Newer states have greater roots: neighbours differ least.
  const ordered = roots.toSorted((a, b) => a - b);
  const changes = await changesBetween(hs, ordered);
  for (let at = 0; at < users.length; at += USERS_AT_A_TIME) {
    const stays = await staysOf(hs, users.slice(at, at + USERS_AT_A_TIME), { ordered, changes });
    const events = await eventsOf(
      hs,
      stays.map((it) => it.eventKey),
    );
    const found = new Map(ordered.map((root) => [root, new Set<unknown>()]));
    for (const { eventKey, from, to } of stays) {
      const membership = events.get(eventKey)?.content["membership"];
      for (const root of ordered.slice(from, to)) found.get(root)?.add(membership);
    }
    yield found;
  }
}

/** From which one on a slot has another event, by the index of the state. */
type Change = { readonly from: number; readonly eventKey: number | undefined };
type States = {
  readonly ordered: readonly number[];
  /** By slot, in order. */
  readonly changes: ReadonlyMap<number, readonly Change[]>;
};

async function changesBetween(
  hs: Homeserver,
  ordered: readonly number[],
): Promise<ReadonlyMap<number, readonly Change[]>> {
  const steps = await withNodes(hs, hs.sql, (source) =>
    ordered.map((root, index) => differences(ordered[index - 1] ?? root, root, source)),
  );
  const changes = steps.flatMap((its, from) =>
    its.map(({ slot, after }) => ({ slot, from, eventKey: after })),
  );
  return Map.groupBy(changes, (it) => it.slot);
}

/** In which of the states, from one to before another, a member event is that of its user. */
type Stay = { readonly eventKey: number; readonly from: number; readonly to: number };

async function staysOf(
  hs: Homeserver,
  users: readonly UserId[],
  { ordered, changes }: States,
): Promise<Stay[]> {
  const pairs = users.map((it): StatePair => ["m.room.member", it]);
  const slots = [...(await findSlots(hs, pairs)).values()];
  const [root = 0] = ordered;
  const keys = await lookUpSlots(
    hs,
    hs.sql,
    slots.map((slot) => ({ root, slot })),
  );
  return slots.flatMap((slot, index) => {
    const all = [{ from: 0, eventKey: keys[index] }, ...(changes.get(slot) ?? [])];
    return all.flatMap(({ from, eventKey }, its) => {
      const to = all[its + 1]?.from ?? ordered.length;
      return eventKey === undefined ? [] : [{ eventKey, from, to }];
    });
  });
}
