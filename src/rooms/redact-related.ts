import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { Room } from "./find-room.ts";
import { relatedIds } from "./queries-related.ts";
import { redactEvent } from "./redact-event.ts";
import { isModerator } from "./require-moderator.ts";
import { redactionTransactionId } from "./transaction-ids.ts";

/** Stands for all ways to relate to an event. */
const ANY = "*";

/** How many are redacted at once; and the most, for which the client waits. */
const AT_ONCE = 100;
const MOST = 10_000;

/**
 * Redacts what relates to an event in some ways, as far as the user may: the rest stays. Of proposal 3912; what is
 * sent afterwards is not looked at.
 *
 * @param relTypes the ways, or `*`.
 * @throws MatrixError if some cannot be redacted for now, as the room's policy server does not answer: the same transaction
 *   goes on with them.
 */
export async function redactRelated(
  hs: Homeserver,
  {
    requester,
    room,
    target,
    relTypes,
    content,
    txnId,
  }: {
    readonly requester: Requester;
    readonly room: Room;
    readonly target: EventId;
    readonly relTypes: readonly string[];
    readonly content: CanonicalObject;
    readonly txnId: string;
  },
): Promise<void> {
  const related = await relatedToRedact(hs, requester, room, { target, relTypes });
  for (let from = 0; from < related.length; from += AT_ONCE) {
    await Promise.all(related.slice(from, from + AT_ONCE).map(redactOne));
  }

  async function redactOne(id: EventId): Promise<void> {
    const { deviceKey } = requester;
    const transaction = { deviceKey, txnId: redactionTransactionId(id, txnId) };
    try {
      await redactEvent(hs, { requester, room, target: id, content, transaction });
    } catch (error) {
      // The room may refuse it, or have changed meanwhile. What cannot be redacted now is when the client asks once more.
      if (!(error instanceof MatrixError) || error.isForNow) throw error;
    }
  }
}

/**
 * What relates to an event in some ways and may be redacted by a user: others' events only by who may redact those. Each
 * would be tried and refused, however many there are.
 */
export async function relatedToRedact(
  hs: Homeserver,
  requester: Requester,
  room: Room,
  { target, relTypes }: { readonly target: EventId; readonly relTypes: readonly string[] },
): Promise<readonly EventId[]> {
  const areAll = await isModerator(hs, requester, room);
  return await relatedIds(hs.sql, {
    roomKey: room.roomKey,
    target,
    relTypes: relTypes.includes(ANY) ? undefined : relTypes,
    senderKey: areAll ? undefined : requester.userKey,
    limit: MOST,
  });
}
