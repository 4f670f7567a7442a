import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { afterOthers } from "#src/kit/after-others.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { processesAlive } from "#src/streams/presence.ts";
import { type Annotation, isAnnotated } from "./queries-annotations.ts";
import type { Transaction } from "./room-write.ts";
import { sendEvent, type Sending } from "./send-event.ts";

/** By what is said of which event by whom, the last request of this process to say it. */
const turnsOf = held(() => new Map<string, Promise<unknown>>());

/**
 * Sends what may be an annotation, unless the same user has annotated the event so already; but the same request, made
 * again, which its transaction ID tells, has the answer that it had.
 *
 * @throws MatrixError M_DUPLICATE_ANNOTATION, and what `sendEvent` throws
 * @spec client-server-api#avoiding-duplicate-annotations
 */
export async function sendAnnotation(
  hs: Homeserver,
  sending: Sending & { readonly transaction: Transaction },
): Promise<EventId> {
  const it = annotationOf(sending.sender, sending.draft.content);
  if (!it) return await sendEvent(hs, sending);
  const key = JSON.stringify([it.userKey, it.target, it.key]);
  return await afterOthers(turnsOf(hs), key, async () => await sendNew(hs, sending, it));
}

async function sendNew(
  hs: Homeserver,
  sending: Sending & { readonly transaction: Transaction },
  it: Annotation,
): Promise<EventId> {
  const { transaction } = sending;
  if (await isAnnotated(hs.sql, it, transaction)) throw duplicate();
  if (processesAlive(hs) === 1) return await sendEvent(hs, sending);
  return await sendEvent(hs, {
    ...sending,
    // In the lane, where it is seen what other processes have stored meanwhile.
    async also(tx) {
      if (await isAnnotated(tx, it, transaction)) throw duplicate();
    },
  });
}

function annotationOf(
  { userKey }: { readonly userKey: number },
  content: CanonicalObject,
): Annotation | undefined {
  const relation = content["m.relates_to"];
  if (typeof relation !== "object" || relation === null) return undefined;
  const { rel_type, event_id, key } = relation as Record<string, unknown>;
  if (rel_type !== "m.annotation" || typeof event_id !== "string" || typeof key !== "string") {
    return undefined;
  }
  return { userKey, target: event_id as EventId, key };
}

function duplicate(): MatrixError {
  return new MatrixError("M_DUPLICATE_ANNOTATION", "You have annotated the event so already");
}
