import type { EventDraft } from "#src/events/build-event.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId, UserId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { membersOfRoom } from "#src/rooms/memberships.ts";
import { membersKnown } from "#src/rooms/partial/partial-rooms.ts";
import { sendEvent } from "#src/rooms/send-event.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import { memberDraft } from "./member-draft.ts";

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
  const drafts = banned
    .filter(({ userId }) => !creators.includes(userId))
    .map(async ({ userId, eventKey }) => {
      const event = events.get(eventKey);
      const reason = event && shownContent(event, room.rules)["reason"];
      return await memberDraft(hs, userId, "ban", typeof reason === "string" ? { reason } : {});
    });
  return await Promise.all(drafts);
}

/**
 * Bans from a room that has taken another's place whom somebody has banned from that while it was being replaced. The upgrade stands
 * whatever becomes of this.
 *
 * @param taken the bans that it began with.
 */
export async function addLateBans(
  hs: Homeserver,
  sender: Requester,
  { room, creators, taken, successor }: Succeeded,
): Promise<void> {
  try {
    const known = new Set(taken.map((it) => it.state_key));
    const bans = await successorBans(hs, room, creators);
    const late = bans.filter((it) => !known.has(it.state_key));
    const to = late.length > 0 ? await findRoom(hs, successor) : undefined;
    if (!to) return;
    for (const draft of late) await sendEvent(hs, { sender, room: to, draft });
  } catch (error) {
    const { roomId } = room;
    hs.log.warn({ err: error, roomId, successor }, "not all bans came along to a room's successor");
  }
}

type Succeeded = {
  readonly room: Room;
  readonly creators: readonly UserId[];
  readonly taken: readonly EventDraft[];
  readonly successor: RoomId;
};
