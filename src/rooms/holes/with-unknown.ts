import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/received-event.ts";

export type Naming = {
  readonly all: ReadonlyMap<EventId, ReceivedEvent>;
  readonly names: "prev_events" | "auth_events";
  /** Which of them are looked at, if not all. */
  readonly which?: Iterable<ReceivedEvent>;
};

/** Those of some events that name others which are neither stored nor among them. */
export async function withUnknown(
  hs: Homeserver,
  room: Room,
  { all, names, which = all.values() }: Naming,
): Promise<ReceivedEvent[]> {
  const looked = [...which];
  const named = looked.flatMap(({ event }) => event[names].filter((id) => !all.has(id)));
  const known = await findEvents(hs, named);
  const isKnown = (id: EventId) => {
    if (all.has(id)) return true;
    const event = known.get(id);
    if (names === "auth_events") return event !== undefined;
    // One that has no place leads nowhere.
    return event?.anchor !== undefined && event.roomKey === room.roomKey;
  };
  return looked.filter(({ event }) => !event[names].every(isKnown));
}
