import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { someOfStatesAt } from "#src/rooms/current-state.ts";
import { erasedUsers } from "#src/rooms/erased-users.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { type Visibility, visibilitiesOf } from "./history-visibility.ts";
import { membershipsAt } from "./memberships-at.ts";
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

  const hidden = new Set(await hiddenFrom(hs, room, server, { restricted, visibilities }));
  return new Set(events.filter((it) => !hidden.has(it)));
}

type Visibilities = ReadonlyMap<StoredEvent, readonly Visibility[]>;

/** Those of some events that nobody of a server may see who was not there. */
async function hiddenFrom(
  hs: Homeserver,
  { roomKey }: Room,
  server: ServerName,
  {
    restricted,
    visibilities,
  }: { readonly restricted: readonly StoredEvent[]; readonly visibilities: Visibilities },
): Promise<readonly StoredEvent[]> {
  const users = await usersOfServerIn(hs.sql, roomKey, server);
  let hidden = restricted;
  for await (const memberships of membershipsAt(hs, rootsOfAll(restricted), users)) {
    hidden = hidden.filter((it) => {
      const wasInvited = visibilities.get(it)?.includes("invited") === true;
      const its = rootsOf(it).map((root) => memberships.get(root));
      return !its.some((own) => own?.has("join") || (wasInvited && own?.has("invite")));
    });
    if (hidden.length === 0) break;
  }
  return hidden;
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
): Promise<Visibilities> {
  const pair: StatePair = ["m.room.history_visibility", ""];
  const found = await someOfStatesAt(hs, rootsOfAll(events), [pair]);
  return new Map(
    events.map((event) => {
      const [before, after] = rootsOf(event).map((root) => {
        const value = found.get(root)?.get(pairKey(...pair))?.content["history_visibility"];
        return typeof value === "string" ? value : undefined;
      });
      return [event, visibilitiesOf(event, before, after)];
    }),
  );
}

function rootsOfAll(events: readonly StoredEvent[]): number[] {
  return [...new Set(events.flatMap(rootsOf))];
}
