import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { type Standing, standingsOf } from "#src/rooms/memberships.ts";
import { lookUpSlots } from "#src/rooms/state-map/look-up-slots.ts";
import { findSlots, pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { isVisible, type StateAround } from "./history-visibility.ts";

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

/** How many of a user's member events are looked through for their last time in the room. */
const MOST_MEMBER_EVENTS = 20;

/** The place in the room's order up to which a user has been joined last. */
async function endOfJoin(hs: Homeserver, now: Standing | undefined): Promise<number | undefined> {
  if (now?.membership === "join") return Number.POSITIVE_INFINITY;
  let end: number | undefined;
  let key = now?.eventKey;
  for (let count = 0; key !== undefined && count < MOST_MEMBER_EVENTS; count++) {
    const event: StoredEvent | undefined = (await eventsOf(hs, [key])).get(key);
    if (event?.content["membership"] === "join") return end;
    end = event?.anchor;
    key = event?.replaces;
  }
  return undefined;
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
