import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { parseRoomId, parseUserId, type UserId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { Turns } from "#src/kit/turns.ts";
import { takeBoundInvite } from "#src/membership/bound-invite.ts";

/** That an address has turned out to be a user's, and the invitations that it had. */
export type Binding = {
  readonly userId: UserId;
  readonly invites: readonly {
    readonly room_id: string;
    readonly sender: string;
    readonly signed: CanonicalObject;
  }[];
};

/**
 * How many bindings are taken in at once, and how many more may wait. Nobody has to say who they are to tell of one, and
 * for each invitation in it some other server is asked, which they name.
 */
const AT_ONCE = 5;
const MOST_WAITING = 50;
const RETRY_MS = 10_000;

/** After this time no more is begun with. */
const MOST_MS = 60_000;

const turnsOf = held(() => new Turns(AT_ONCE, MOST_WAITING));

/**
 * Invites a user of ours who has bound an address to the rooms that this had been invited to, as far as that is
 * possible. What may come to something later, the identity server is to tell us again.
 *
 * @throws MatrixError what one of the invitations came to: of several rather what may change, such as 502; 504 if it
 *   took too long; M_LIMIT_EXCEEDED if too many tell of some.
 * @spec server-server-api#put_matrixfederationv13pidonbind
 */
export async function takeBinding(hs: Homeserver, binding: Binding): Promise<void> {
  const turn = await turnsOf(hs).take(async () => await takeInvites(hs, binding));
  if (!turn) {
    throw new MatrixError("M_LIMIT_EXCEEDED", "Too many requests at once", {
      fields: { retry_after_ms: RETRY_MS },
    });
  }
}

async function takeInvites(hs: Homeserver, { userId, invites }: Binding): Promise<void> {
  const until = hs.now() + MOST_MS;
  let failure: MatrixError | undefined;
  for (const { room_id, sender, signed } of invites) {
    if (hs.now() > until) {
      failure = new MatrixError("M_UNKNOWN", "The others take too long", { status: 504 });
      break;
    }
    try {
      await takeBoundInvite(hs, {
        roomId: parseRoomId(room_id),
        sender: parseUserId(sender),
        userId,
        signed,
      });
    } catch (error) {
      // The other invitations are to be had all the same.
      if (!(error instanceof MatrixError)) throw error;
      hs.log.info({ err: error, userId }, "an invitation by an address came to nothing");
      if (!failure?.isForNow) failure = error;
    }
  }
  if (failure) throw failure;
}
