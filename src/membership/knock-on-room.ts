import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom } from "#src/rooms/find-room.ts";
import { standingOf } from "#src/rooms/memberships.ts";
import { isRoomHere } from "#src/rooms/residents.ts";
import type { RoomToEnter } from "./enter-room.ts";
import { oneByOne } from "./entries.ts";
import { memberDraft } from "./member-draft.ts";
import { knockOnOutsideRoom } from "./outside/knock-on-outside-room.ts";
import { serversToAsk } from "./outside/servers-to-ask.ts";
import { setMembership } from "./set-membership.ts";

/**
 * Asks to be let into a room, wherever it is.
 *
 * @param reason why, for people to read.
 * @throws MatrixError M_NOT_FOUND of a room that nobody can be asked about; M_FORBIDDEN if it takes no
 *   knocks from the user; 502 if no server is of any help.
 * @spec client-server-api#knocking-on-rooms
 */
export async function knockOnRoom(
  hs: Homeserver,
  requester: Requester,
  { roomId, via }: RoomToEnter,
  reason?: string,
): Promise<void> {
  const { userId, userKey } = requester;
  const draft = await memberDraft(hs, userId, "knock", reason === undefined ? {} : { reason });
  if (await knockedHere()) return;
  // So that whoever ends the knock before it is stored here is heard after that.
  await oneByOne(hs, roomId, async () => {
    if (!(await knockedHere())) await knockOutside();
  });

  async function knockedHere(): Promise<boolean> {
    const room = await findRoom(hs, roomId);
    if (!room || !(await isRoomHere(hs.sql, room.roomKey))) return false;
    await setMembership(hs, {
      room,
      sender: requester,
      draft,
      decide: (current) => current !== "knock",
    });
    return true;
  }

  async function knockOutside(): Promise<void> {
    const room = await findRoom(hs, roomId);
    const standing = room && (await standingOf(hs, userKey, room.roomKey));
    const servers = await serversToAsk(hs, { userKey, room, via });
    const begunAt = standing?.eventKey ?? null;
    const isRepeated = standing?.membership === "knock";
    const knock = { roomId, sender: userId, draft, begunAt, isRepeated };
    await knockOnOutsideRoom(hs, knock, servers);
  }
}
