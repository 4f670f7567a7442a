import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { boundDraft, type BoundInvite, isInvitedAlready } from "#src/membership/bound-invite.ts";
import { inviteOutsideUser } from "#src/membership/outside/invite-outside-user.ts";
import { requireResidentRoom } from "./resident-room.ts";

/**
 * Invites a user of another server in place of the address by which one of our users had invited them.
 *
 * @throws MatrixError M_NOT_FOUND of a room that this server is not in; M_FORBIDDEN if neither is so, or the key that
 *   vouches for it is no longer valid; 502 if nobody can say.
 * @spec server-server-api#put_matrixfederationv1exchange_third_party_inviteroomid
 */
export async function exchangeInvite(
  hs: Homeserver,
  origin: ServerName,
  invite: BoundInvite,
): Promise<void> {
  const { roomId, sender, userId } = invite;
  const room = await requireResidentRoom(hs, origin, roomId);
  if (serverNameOf(userId) !== origin || serverNameOf(sender) !== hs.name) {
    throw new MatrixError(
      "M_FORBIDDEN",
      "The invitation is not from a user of ours to one of yours",
    );
  }
  if (await isInvitedAlready(hs, room, userId)) return;
  await inviteOutsideUser(hs, { room, sender, draft: await boundDraft(hs, room, invite) });
}
