import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { membersOfRoom } from "#src/rooms/memberships.ts";
import { membersKnown } from "#src/rooms/partial/partial-rooms.ts";
import { shownContent } from "#src/rooms/shown-content.ts";

/**
 * The bans of a room for the one that takes its place: a public successor would let everybody in again who was banned.
 * Other memberships are for their users to say.
 *
 * @param creators who creates the new room: nobody there can ban them.
 * @throws MatrixError M_UNKNOWN (504) of a room whose members are not known yet, nor after a minute.
 * @spec client-server-api#room-upgrades
 */
export async function successorBans(
  hs: Homeserver,
  room: Room,
  creators: readonly UserId[],
): Promise<EventDraft[]> {
  await membersKnown(hs, room.roomKey);
  const banned = await membersOfRoom(hs, room.roomKey, ["ban"]);
  const events = await eventsOf(
    hs,
    banned.map((it) => it.eventKey),
  );
  return banned.flatMap(({ userId, eventKey }) => {
    if (creators.includes(userId)) return [];
    const event = events.get(eventKey);
    const reason = event && shownContent(event, room.rules)["reason"];
    return [
      {
        type: "m.room.member",
        state_key: userId,
        content: { membership: "ban", ...(typeof reason === "string" && { reason }) },
      },
    ];
  });
}
