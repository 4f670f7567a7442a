import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { erasedUsers } from "#src/rooms/erased-users.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { lookUpSlots } from "#src/rooms/state-map/look-up-slots.ts";
import { findSlots, type StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { type Visibility, visibilitiesOf } from "./history-visibility.ts";
import { usersOfServerIn } from "./queries-timeline.ts";

/**
 * Those of some events of a room that a server which is in it may see: what any of its users may see
 * who is in the room now. What somebody wanted to have erased only those see who were there.
 *
 * @spec server-server-api#backfilling-and-retrieving-missing-events
 * @spec client-server-api#room-history-visibility
 */
export async function visibleToServer(
  hs: Homeserver,
  room: Room,
  events: readonly StoredEvent[],
  server: ServerName,
): Promise<ReadonlySet<StoredEvent>> {
  const visibilities = await visibilitiesAround(hs, events);
  const isOpen = (it: Visibility) => it === "world_readable" || it === "shared";
  const erased = await erasedUsers(hs);
  const restricted = events.filter(
    (it) => erased.has(it.senderKey) || !(visibilities.get(it) ?? []).some(isOpen),
  );
  if (restricted.length === 0) return new Set(events);

  const memberships = await membershipsAround(hs, room, restricted, server);
  const hidden = restricted.filter((it) => {
    const wasInvited = visibilities.get(it)?.includes("invited") === true;
    const its = memberships.get(it);
    return !(its?.has("join") === true || (wasInvited && its?.has("invite") === true));
  });
  const isHidden = new Set(hidden);
  return new Set(events.filter((it) => !isHidden.has(it)));
}

/** The states that count for an event: that before it, and of what changes who may see it, that after it too. */
function rootsOf(event: StoredEvent): number[] {
  const { stateBefore = 0, stateAfter = 0, type } = event;
  const isChange = type === "m.room.history_visibility" || type === "m.room.member";
  return isChange ? [stateBefore, stateAfter] : [stateBefore];
}

async function visibilitiesAround(
  hs: Homeserver,
  events: readonly StoredEvent[],
): Promise<Map<StoredEvent, readonly Visibility[]>> {
  const pair: StatePair = ["m.room.history_visibility", ""];
  const found = await contentsAt(hs, rootsOfAll(events), [pair]);
  return new Map(
    events.map((event) => {
      const [before, after] = rootsOf(event).map((root) => {
        const value = found.get(root)?.[0]?.["history_visibility"];
        return typeof value === "string" ? value : undefined;
      });
      return [event, visibilitiesOf(event, before, after)];
    }),
  );
}

/** What users of a server were in the states around events. */
async function membershipsAround(
  hs: Homeserver,
  { roomKey }: Room,
  events: readonly StoredEvent[],
  server: ServerName,
): Promise<Map<StoredEvent, ReadonlySet<unknown>>> {
  const users = await usersOfServerIn(hs.sql, roomKey, server);
  const pairs = users.map((it): StatePair => ["m.room.member", it]);
  const found = await contentsAt(hs, rootsOfAll(events), pairs);
  return new Map(
    events.map((event) => {
      const contents = rootsOf(event).flatMap((root) => found.get(root) ?? []);
      return [event, new Set(contents.map((it) => it?.["membership"]))];
    }),
  );
}

function rootsOfAll(events: readonly StoredEvent[]): number[] {
  return [...new Set(events.flatMap(rootsOf))];
}

type Content = StoredEvent["content"] | undefined;

/** What states have for some pairs, by the states' roots: their states share nearly everything. */
async function contentsAt(
  hs: Homeserver,
  roots: readonly number[],
  pairs: readonly StatePair[],
): Promise<Map<number, readonly Content[]>> {
  const slots = [...(await findSlots(hs, pairs))].map(([, slot]) => slot);
  const lookups = roots.flatMap((root) => slots.map((slot) => ({ root, slot })));
  const keys = await lookUpSlots(hs, hs.sql, lookups);
  const events = await eventsOf(
    hs,
    keys.filter((it) => it !== undefined),
  );
  const contents = keys.map((key) => (key === undefined ? undefined : events.get(key)?.content));
  return new Map(
    roots.map((root, index) => [
      root,
      contents.slice(index * slots.length, (index + 1) * slots.length),
    ]),
  );
}
