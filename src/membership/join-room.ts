import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId, RoomId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import type { MassagedTime } from "#src/rooms/massaged-time.ts";
import { standingAndStateRoot } from "#src/rooms/memberships.ts";
import { authoriserOf } from "./authorise-join.ts";
import { memberDraft } from "./member-draft.ts";
import { setMembership } from "./set-membership.ts";

/** What a client adds to the member event: to its content, such as a `reason`, and when it was. */
export type Joining = { readonly content?: CanonicalObject; readonly time?: MassagedTime };

/**
 * Joins a user to a room. Of one who is joined already nothing is changed.
 *
 * @returns the member event; undefined if there was nothing to do.
 * @throws MatrixError M_NOT_FOUND of an unknown room; M_FORBIDDEN if the room's rules keep the user out.
 * @spec client-server-api#joining-rooms
 */
export async function joinRoom(
  hs: Homeserver,
  requester: Requester,
  roomId: RoomId,
  { content = {}, time = {} }: Joining = {},
): Promise<EventId | undefined> {
  const room = await findRoom(hs, roomId);
  if (!room) throw new MatrixError("M_NOT_FOUND", "This server knows no such room");
  const { userKey } = requester;
  const { standing, stateRoot } = await standingAndStateRoot(hs, userKey, room.roomKey);
  if (standing?.membership === "join") return undefined;
  if (requester.isGuest) await requireGuestAccess(hs, room);

  const joiner = { userKey, isLocal: true };
  const authoriser =
    standing?.membership === "invite" ? undefined : await authoriserOf(hs, joiner, room, stateRoot);
  const draft = await memberDraft(hs, requester.userId, "join", {
    ...content,
    ...(authoriser !== undefined && { join_authorised_via_users_server: authoriser }),
  });
  return await setMembership(hs, {
    room,
    sender: requester,
    draft: { ...draft, ...time },
    decide: (current) => current !== "join",
  });
}

/** @spec client-server-api#guest-access */
async function requireGuestAccess(hs: Homeserver, { roomKey }: Room): Promise<void> {
  const event = await stateEvent(hs, roomKey, "m.room.guest_access", "");
  if (event?.content["guest_access"] !== "can_join") {
    throw new MatrixError("M_GUEST_ACCESS_FORBIDDEN", "Guests may not join this room");
  }
}
