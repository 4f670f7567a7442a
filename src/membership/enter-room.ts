import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { RoomId, ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { standingOf } from "#src/rooms/memberships.ts";
import { membersKnown, partialRoomsOf } from "#src/rooms/partial/partial-rooms.ts";
import { isRoomHere, serversInRoom } from "#src/rooms/residents.ts";
import { oneByOne } from "./entries.ts";
import { inheritSettings } from "./inherit-settings.ts";
import { joinRoom } from "./join-room.ts";
import { memberDraft } from "./member-draft.ts";
import { joinOutsideRoom } from "./outside/join-outside-room.ts";
import { letsGuestsIn } from "./outside/lets-guests-in.ts";
import { serversToAsk } from "./outside/servers-to-ask.ts";

/** A room, and the servers by which it may be entered should this one not be in it. */
export type RoomToEnter = { readonly roomId: RoomId; readonly via: readonly ServerName[] };

/**
 * Joins a user to a room, wherever it is.
 *
 * @param further what the client adds to the member event's content, such as a `reason`.
 * @throws MatrixError M_NOT_FOUND of a room that nobody can be asked about; M_FORBIDDEN and others if the
 *   room's rules keep the user out, M_GUEST_ACCESS_FORBIDDEN of guests; 502 if no server is of any help.
 * @spec client-server-api#joining-rooms
 */
export async function enterRoom(
  hs: Homeserver,
  requester: Requester,
  { roomId, via }: RoomToEnter,
  further: CanonicalObject = {},
): Promise<void> {
  await enter();
  await inheritSettings(hs, requester, roomId);

  async function enter(): Promise<void> {
    if (await joinedHere()) return;
    // Whoever is first brings the room here for the others.
    await oneByOne(hs, roomId, joinOutside);
  }

  async function joinOutside(): Promise<void> {
    if (await joinedHere()) return;
    const room = await findRoom(hs, roomId);
    const servers = await serversToAsk(hs, { userKey: requester.userKey, room, via });
    if (requester.isGuest) await requireGuestsLetIn(servers.first);
    const draft = await memberDraft(hs, requester.userId, "join", further);
    try {
      await joinOutsideRoom(hs, { roomId, sender: requester.userId, draft }, servers);
    } catch (error) {
      if (!room || !(error instanceof MatrixError)) throw error;
      if (!(await isRoomHere(hs.sql, room.roomKey))) throw error;
      if (!isRefusal(error)) await membersKnown(hs, room.roomKey);
      // We may have heard meanwhile of what lets the user in here.
      if (!(await joinedHere())) throw error;
    }
  }

  async function requireGuestsLetIn(servers: readonly ServerName[]): Promise<void> {
    if (await letsGuestsIn(hs, roomId, servers)) return;
    throw new MatrixError("M_GUEST_ACCESS_FORBIDDEN", "Guests may not join this room");
  }

  async function joinedHere(): Promise<boolean> {
    const room = await findRoom(hs, roomId);
    if (!room || !(await isRoomHere(hs.sql, room.roomKey))) return false;
    // What the room has said of the user may be among what is not known: those who know are asked.
    if (await mayBeBarred(hs, requester, room)) return false;
    try {
      await joinRoom(hs, requester, roomId, { content: further });
    } catch (error) {
      if (await mayBeLetInElsewhere(hs, room, error)) return false;
      throw error;
    }
    return true;
  }
}

/** Whether a room's members are not all known, and the user's standing in it neither. Guests wait until they are. */
async function mayBeBarred(
  hs: Homeserver,
  { userKey, isGuest }: Requester,
  { roomKey }: Room,
): Promise<boolean> {
  if (!(await partialRoomsOf(hs)).has(roomKey)) return false;
  if ((await standingOf(hs, userKey, roomKey))?.membership === "join") return false;
  if (isGuest) await membersKnown(hs, roomKey);
  return !isGuest;
}

/** Whether it is the room's rules that keep a user out, and not that nobody can be asked. */
function isRefusal({ status, errcode }: MatrixError): boolean {
  return status < 500 && errcode !== "M_NOT_FOUND";
}

/** Whether another server may let a user into a restricted room whom nobody of this one can. */
async function mayBeLetInElsewhere(hs: Homeserver, room: Room, error: unknown): Promise<boolean> {
  if (!(error instanceof MatrixError) || error.errcode !== "M_UNABLE_TO_GRANT_JOIN") return false;
  return (await serversInRoom(hs, room.roomKey)).some((it) => it !== hs.name);
}
