import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Room } from "../find-room.ts";
import { headOf } from "./head-of.ts";

/** A room's forward extremities, as far as this process knows: the newest of what we have. */
export async function extremitiesOf(hs: Homeserver, room: Room): Promise<readonly EventId[]> {
  return (await headOf(hs, room)).extremities.map((it) => it.eventId);
}
