import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { membersKnown } from "#src/rooms/partial/partial-rooms.ts";
import type { RoomInMaking } from "#src/rooms/room-in-making.ts";
import { writeToRoom } from "#src/rooms/send-event.ts";
import type { StatePair } from "#src/rooms/state-slots.ts";

export type MembershipChange = {
  readonly room: Room;
  readonly sender: Requester;
  /** The member event to send. */
  readonly draft: EventDraft;
  /** Further pairs of the current state that `decide` asks for. */
  readonly needs?: readonly StatePair[];
  /**
   * Looks at how things stand, on the state that the event would be built on.
   *
   * @returns whether there is anything to do.
   * @throws MatrixError to refuse.
   */
  readonly decide: (current: string | undefined, room: RoomInMaking) => boolean;
};

/**
 * Changes what a user is in a room, if the room's rules and the request's own allow it.
 *
 * @returns the member event; undefined if there was nothing to do.
 * @throws MatrixError M_FORBIDDEN and what `decide` throws.
 */
export async function setMembership(
  hs: Homeserver,
  change: MembershipChange,
): Promise<EventId | undefined> {
  const { room, sender, draft, needs = [] } = change;
  const target = draft.state_key as UserId;
  // What others are in the room has to be known; what local users are themselves is.
  if (target !== sender.userId) await membersKnown(hs, room.roomKey);
  const pair: StatePair = ["m.room.member", target];
  const written = await writeToRoom(hs, {
    room,
    needs: [...needs, ...authEventKeys({ ...draft, sender: sender.userId }, room.rules)],
    sets: [pair],
    most: 1,
    build(making) {
      const current = making.lookup(...pair)?.content["membership"];
      if (change.decide(typeof current === "string" ? current : undefined, making)) {
        making.add(draft, sender);
      }
    },
  });
  return written.events[0]?.eventId;
}
