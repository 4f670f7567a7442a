import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventTemplate } from "#src/homeserver/remotes.ts";
import { type RoomId, type ServerName, serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { draftOnHead } from "#src/rooms/draft-on-head.ts";
import { authoriserFor } from "./join-authorisers.ts";
import { requireResidentRoom } from "./resident-room.ts";

/** What a user of another server wants to be in a room that this one is in. */
export type MemberProposal = {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly membership: "join" | "knock" | "leave";
  /** The room versions that the other server knows; undefined if that does not matter. */
  readonly versions?: readonly string[];
};

/**
 * Proposes a member event to the server of the user that it is about: one that the room would take now.
 *
 * @throws MatrixError M_NOT_FOUND of a room that this server is not in; M_FORBIDDEN if the user is not of
 *   that server, or the room does not let them; M_INCOMPATIBLE_ROOM_VERSION; M_UNABLE_TO_AUTHORISE_JOIN
 *   and M_UNABLE_TO_GRANT_JOIN if another server may know better.
 * @spec server-server-api#get_matrixfederationv1make_joinroomiduserid
 */
export async function proposeMember(
  hs: Homeserver,
  origin: ServerName,
  { roomId, userId, membership, versions }: MemberProposal,
): Promise<EventTemplate> {
  if (serverNameOf(userId) !== origin) {
    throw new MatrixError("M_FORBIDDEN", "The user is not of your server");
  }
  const room = await requireResidentRoom(hs, origin, roomId);
  const { version } = room.rules;
  if (versions && !versions.includes(version)) {
    throw new MatrixError("M_INCOMPATIBLE_ROOM_VERSION", `The room has the version ${version}`, {
      fields: { room_version: version },
    });
  }
  const authoriser = membership === "join" ? await authoriserFor(hs, room, userId) : undefined;
  const content = {
    membership,
    ...(authoriser !== undefined && { join_authorised_via_users_server: authoriser }),
  };
  const draft = { type: "m.room.member", state_key: userId, content };
  const { event } = await draftOnHead(hs, room, { draft, sender: userId });
  const { hashes: _, signatures: __, event_id: ___, ...template } = event.wire;
  return { room_version: version, event: { ...template, origin: hs.name } };
}
