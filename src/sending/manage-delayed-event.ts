import { setTimeout as sleep } from "node:timers/promises";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Action, DelayedEvent } from "./delayed-event.ts";
import {
  cancelWaiting,
  delayedEventById,
  endDelayedEvent,
  giveBack,
  leaseOne,
  restartWaiting,
} from "./queries-delayed-events.ts";
import { LEASE_MS } from "./run-delayed-events.ts";
import { sendDelayedEvent } from "./send-delayed-event.ts";

/** How long and how often to look whether one that is being sent has been. */
const LOOKS = 40;
const LOOK_EVERY_MS = 50;

/**
 * Sends a delayed event now, cancels it, or lets its delay begin anew. To say the same again is well.
 *
 * Whoever knows the ID may: so an event can be left to somebody who sees better when it is to be sent.
 *
 * @throws MatrixError M_NOT_FOUND; M_UNKNOWN with status 409 if it has ended in another way; what keeps it from being
 *   sent: then it waits on.
 * @see https://github.com/matrix-org/matrix-spec-proposals/pull/4140
 */
export async function manageDelayedEvent(
  hs: Homeserver,
  delayId: string,
  action: Action,
): Promise<void> {
  for (let look = 0; look < LOOKS; look++) {
    if (await TRIES[action](hs, delayId)) return;
    const it = await delayedEventById(hs.sql, delayId);
    if (!it) throw new MatrixError("M_NOT_FOUND", "There is no such delayed event");
    if (it.endedMs !== null) {
      requireSameEnd(it, action);
      return;
    }
    // It is being sent.
    await sleep(LOOK_EVERY_MS);
  }
  throw new MatrixError("M_UNKNOWN", "The event is being sent", { status: 409 });
}

/** Each does it if the event waits and nobody is about to send it, and says whether it has. */
const TRIES: Readonly<Record<Action, (hs: Homeserver, delayId: string) => Promise<boolean>>> = {
  cancel: async (hs, delayId) => await cancelWaiting(hs.sql, delayId, hs.now()),
  restart: async (hs, delayId) => await restartWaiting(hs.sql, delayId, hs.now()),
  send: sendNow,
};

async function sendNow(hs: Homeserver, delayId: string): Promise<boolean> {
  const nowMs = hs.now();
  if (!(await leaseOne(hs.sql, delayId, { nowMs, untilMs: nowMs + LEASE_MS }))) return false;
  try {
    const it = await delayedEventById(hs.sql, delayId);
    if (!it) return false;
    const eventId = await sendDelayedEvent(hs, it);
    return await endDelayedEvent(hs.sql, delayId, { endedMs: hs.now(), eventId });
  } catch (error) {
    await giveBack(hs.sql, delayId);
    throw error;
  }
}

function requireSameEnd({ eventId }: DelayedEvent, action: Action): void {
  const wasSent = eventId !== null;
  if (action === "send" && wasSent) return;
  if (action === "cancel" && !wasSent) return;
  const message = wasSent ? "The event has been sent" : "The event has been cancelled";
  throw new MatrixError("M_UNKNOWN", message, { status: 409 });
}
