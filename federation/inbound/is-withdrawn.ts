import { setTimeout as sleep } from "node:timers/promises";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type RoomId, serverNameOf, type UserId } from "#src/kit/identifiers.ts";

/** When the server that has invited is asked: it may hear of what happens in its room later than we do. */
const WAITS_MS = [0, 1_000, 3_000];

const TIMEOUT_MS = 5_000;

/** An invitation of a user of ours to a room that we are not in. */
export type Invitation = {
  readonly roomId: RoomId;
  readonly userId: UserId;
  readonly inviter: UserId;
};

/**
 * Asks the server that has invited a user of ours whether that does not stand any more: by how the user would decline it,
 * for which only those are told the way who are invited. That does nothing in the room.
 *
 * @spec server-server-api#get_matrixfederationv1make_leaveroomiduserid
 */
export async function isWithdrawn(
  hs: Homeserver,
  { roomId, userId, inviter }: Invitation,
  until: AbortSignal,
): Promise<boolean> {
  const options = { timeoutMs: TIMEOUT_MS, signal: until };
  for (const waitMs of WAITS_MS) {
    await sleep(waitMs, undefined, { signal: until }).catch(() => {});
    if (until.aborted) return false;
    const question = { roomId, userId };
    const answer = await hs.remotes.makeLeave(serverNameOf(inviter), question, options);
    if (!answer.ok) return answer.why === "refused" && answer.errcode === "M_FORBIDDEN";
  }
  return false;
}
