import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Room } from "./find-room.ts";
import { headOf } from "./received/head-of.ts";
import { loadState } from "./room-head.ts";
import { type NewEvent, RoomInMaking } from "./room-in-making.ts";
import type { StatePair } from "./state-slots.ts";

/** An event on a room as this process knows it. */
export type Drafted = {
  /** Built, signed by this server, and allowed by the room's rules; not stored. */
  readonly event: NewEvent;
  readonly making: RoomInMaking;
};

/**
 * Builds an event that another server has to see, or to sign, before it can be part of the room. By then
 * the room may have moved on: so it comes in as what other servers send does, and forks the room if need be.
 *
 * @param needs further pairs of the current state that are asked of `making`.
 * @throws MatrixError M_FORBIDDEN naming the rule; M_TOO_LARGE, M_BAD_JSON.
 */
export async function draftOnHead(
  hs: Homeserver,
  room: Room,
  {
    draft,
    sender,
    needs = [],
  }: { draft: EventDraft; sender: UserId; needs?: readonly StatePair[] },
): Promise<Drafted> {
  const head = await headOf(hs, room);
  const own: StatePair[] = draft.state_key === undefined ? [] : [[draft.type, draft.state_key]];
  await loadState(hs, hs.sql, head, [
    ["m.room.create", ""],
    ["m.room.power_levels", ""],
    ...authEventKeys({ ...draft, sender }, room.rules),
    ...own,
    ...needs,
  ]);
  const making = new RoomInMaking(hs, room.rules, head);
  // Who it is stored for is found out when it is.
  return { event: making.add(draft, { userId: sender, userKey: 0 }), making };
}
