import { isUserId } from "#src/events/event-identifiers.ts";
import { signEvent } from "#src/events/event-signatures.ts";
import type { Pdu, WireEvent } from "#src/events/pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { authoriserOf } from "#src/membership/authorise-join.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { standingAndStateRoot } from "#src/rooms/memberships.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";

/**
 * Who of this server lets a user of another into a room, if that takes somebody.
 *
 * @returns undefined if the room is not restricted, or the user is invited, or in it.
 * @throws MatrixError as `authoriserOf`.
 * @spec server-server-api#restricted-rooms
 */
export async function authoriserFor(
  hs: Homeserver,
  room: Room,
  userId: UserId,
): Promise<UserId | undefined> {
  const userKey = (await findUserKeys(hs, [userId])).get(userId);
  const { standing, stateRoot } = await standingAndStateRoot(hs, userKey, room.roomKey);
  const needsNobody = standing?.membership === "invite" || standing?.membership === "join";
  if (needsNobody) return undefined;
  return await authoriserOf(hs, { userKey, isLocal: false }, room, stateRoot);
}

/**
 * A join of another server's user, signed by us if it says that a user of ours lets them in, and that is so.
 *
 * @throws MatrixError as `authoriserOf`.
 */
export async function withAuthorisersSignature(
  hs: Homeserver,
  room: Room,
  { event, wire }: { event: Pdu; wire: WireEvent },
): Promise<WireEvent> {
  const authoriser = event.content["join_authorised_via_users_server"];
  const isOurs = isUserId(authoriser) && serverNameOf(authoriser) === hs.name;
  if (!room.rules.restrictedJoins || event.content["membership"] !== "join" || !isOurs) return wire;
  await authoriserFor(hs, room, event.sender);
  return signEvent(wire, room.rules, hs.name, hs.signingKey);
}
