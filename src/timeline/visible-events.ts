import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { type Standing, standingsOf } from "#src/rooms/memberships.ts";
import { lookUpSlots } from "#src/rooms/state-map/look-up-slots.ts";
import { findSlots, pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { isVisible, type StateAround } from "./history-visibility.ts";
import { endOfLastStay } from "./last-stay.ts";

/**
 * Those of some events of a room that a user may see: by the history visibility and the user's
 * membership at each event, and by what the user is in the room now.
 *
 * @param standing what the user is in the room now, if the caller knows.
 * @spec client-server-api#room-history-visibility
 */
export async function visibleEvents(
  hs: Homeserver,
  requester: Pick<Requester, "userId" | "userKey">,
  events: readonly StoredEvent[],
  standing?: Standing,
): Promise<StoredEvent[]> {
  const [first] = events;
  if (!first) return [];
  const standings = standing
    ? new Map([[first.roomKey, standing]])
    : await standingsOf(hs, requester.userKey, [first.roomKey]);
  return await visibleInRooms(hs, requester, events, standings);
}

/**
 * The same for events of many rooms, with no more queries than for those of one.
 *
 * @param standings what the user is in the rooms now, by room key.
 */
export async function visibleInRooms(
  hs: Homeserver,
  { userId }: Pick<Requester, "userId">,
  events: readonly StoredEvent[],
  standings: ReadonlyMap<number, Standing>,
): Promise<StoredEvent[]> {
  const shown = events.filter(
    (it) => it.status === EventStatus.accepted && it.anchor !== undefined,
  );
  if (shown.length === 0) return [];
  const roomKeys = [...new Set(shown.map((it) => it.roomKey))];
  const [states, ends] = await Promise.all([
    statesAround(hs, userId, shown),
    Promise.all(roomKeys.map(async (key) => await endOfJoin(hs, standings.get(key)))),
  ]);
  const joinedUntil = new Map(roomKeys.map((key, index) => [key, ends[index]]));
  return shown.filter((event, index) => {
    const around = states[index];
    const until = joinedUntil.get(event.roomKey);
    return around !== undefined && isVisible(event, around, { userId, joinedUntil: until });
  });
}

/** The place in the room's order up to which a user has been joined last. */
async function endOfJoin(hs: Homeserver, now: Standing | undefined): Promise<number | undefined> {
  if (now?.membership === "join") return Number.POSITIVE_INFINITY;
  return (await endOfLastStay(hs, now))?.anchor;
}

const VISIBILITY: StatePair = ["m.room.history_visibility", ""];

/** All of it with at most a few queries, however many the events: their states share nearly everything. */
async function statesAround(
  hs: Homeserver,
  userId: string,
  events: readonly StoredEvent[],
): Promise<StateAround[]> {
  const member: StatePair = ["m.room.member", userId];
  const slots = await findSlots(hs, [VISIBILITY, member]);
  const visibilitySlot = slots.get(pairKey(...VISIBILITY));
  const memberSlot = slots.get(pairKey(...member));
  const roots = [...new Set(events.flatMap((it) => [it.stateBefore ?? 0, it.stateAfter ?? 0]))];
  const at = async (slot: number | undefined) =>
    slot === undefined
      ? []
      : await lookUpSlots(
          hs,
          hs.sql,
          roots.map((root) => ({ root, slot })),
        );
  const [visibilities, members] = await Promise.all([at(visibilitySlot), at(memberSlot)]);
  const keys = new Map(
    roots.map((root, index) => [root, { visibility: visibilities[index], member: members[index] }]),
  );
  const found = await eventsOf(
    hs,
    [...keys.values()].flatMap((it) => [it.visibility, it.member]).filter((it) => it !== undefined),
  );
  const text = (key: number | undefined, field: string) => {
    const value = key === undefined ? undefined : found.get(key)?.content[field];
    return typeof value === "string" ? value : undefined;
  };
  return events.map((it) => {
    const before = keys.get(it.stateBefore ?? 0);
    const after = keys.get(it.stateAfter ?? 0);
    return {
      visibilityBefore: text(before?.visibility, "history_visibility"),
      visibilityAfter: text(after?.visibility, "history_visibility"),
      membershipBefore: text(before?.member, "membership"),
      membershipAfter: text(after?.member, "membership"),
    };
  });
}
