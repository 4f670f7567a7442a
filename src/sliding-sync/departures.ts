import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Standing } from "#src/rooms/memberships.ts";
import { endOfLastStay } from "#src/timeline/last-stay.ts";

/** How a user has come to be out of a room. */
export type Departure = {
  /** Where their last stay in it ended; undefined if they were never in it, as who declines an invitation. */
  readonly leftAt: Position | undefined;
  /** Whether somebody else has put them out. */
  readonly byOthers: boolean;
};

/** A member event says it once and for all. */
const departuresOf = held(() => lru<number, Departure>(100_000));

/** How a user has come to be out of rooms, by the keys of the member events that say so. */
export async function readDepartures(
  hs: Homeserver,
  standings: readonly Pick<Standing, "eventKey">[],
): Promise<ReadonlyMap<number, Departure>> {
  const known = departuresOf(hs);
  const found = new Map<number, Departure>();
  const unknown: Pick<Standing, "eventKey">[] = [];
  for (const standing of standings) {
    const departure = known.get(standing.eventKey);
    if (departure) found.set(standing.eventKey, departure);
    else unknown.push(standing);
  }
  if (unknown.length === 0) return found;
  const keys = unknown.map((it) => it.eventKey);
  const events = await eventsOf(hs, keys);
  // What they replace is looked at next: all of it is read at once.
  await eventsOf(
    hs,
    [...events.values()].flatMap((it) => it.replaces ?? []),
  );
  for (const standing of unknown) {
    const event = events.get(standing.eventKey);
    const departure = {
      leftAt: (await endOfLastStay(hs, standing))?.anchor,
      byOthers: event !== undefined && event.sender !== event.stateKey,
    };
    known.set(standing.eventKey, departure);
    found.set(standing.eventKey, departure);
  }
  return found;
}
