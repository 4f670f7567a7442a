import { Counter } from "prom-client";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { alarmOf } from "./alarm.ts";
import type { DelayedEvent } from "./delayed-event.ts";
import { endDelayedEvent, giveBack, leaseDue, nextDue } from "./queries-delayed-events.ts";
import { sendDelayedEvent } from "./send-delayed-event.ts";

/** However quiet it is, a process looks this often: another may have died with what it was to send. */
const LOOK_MS = 15_000;

/** How long a process may take for what it has taken on. */
export const LEASE_MS = 30_000;

/** How long one waits that could not be sent for a fault of ours. */
const RETRY_MS = 5_000;

const MOST_AT_ONCE = 50;

const sent = new Counter({
  name: "archipel_delayed_events_total",
  help: "Delayed events that came due, by what became of them: sent, refused, or put off for a fault of ours.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});

/**
 * Sends delayed events when they are due, those of a room in their order, until the homeserver stops. Every
 * process does; what one has taken on when it dies is another's when its lease ends.
 *
 * @returns what resolves when none is under way any more.
 */
export async function runDelayedEvents(hs: Homeserver): Promise<void> {
  const alarm = alarmOf(hs);
  hs.stopping.addEventListener("abort", alarm.ring, { once: true });
  while (!hs.stopping.aborted) {
    try {
      let next = await nextDue(hs.sql);
      if (next !== undefined && next <= hs.now()) next = await sendAllDue(hs);
      if (next !== undefined) alarm.set(Math.max(next, hs.now() + 1));
    } catch (error) {
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see which events are due");
    }
    await alarm.wait(hs, LOOK_MS);
  }
}

/** @returns when the next is due. */
async function sendAllDue(hs: Homeserver): Promise<UnixMs | undefined> {
  while (!hs.stopping.aborted && (await sendDue(hs)) === MOST_AT_ONCE);
  return await nextDue(hs.sql);
}

async function sendDue(hs: Homeserver): Promise<number> {
  const nowMs = hs.now();
  const due = await hs.sql.begin(
    async (tx) => await leaseDue(tx, { nowMs, untilMs: nowMs + LEASE_MS, limit: MOST_AT_ONCE }),
  );
  const byRoom = Map.groupBy(due, (it) => it.roomKey);
  await Promise.all(
    [...byRoom.values()].map(async (its) => {
      for (const it of its) await sendOne(hs, it);
    }),
  );
  return due.length;
}

/** Sends one that was taken on, and notes what became of it. */
async function sendOne(hs: Homeserver, it: DelayedEvent): Promise<void> {
  const { delayId } = it;
  try {
    const eventId = await sendDelayedEvent(hs, it);
    await endDelayedEvent(hs.sql, delayId, { endedMs: hs.now(), eventId });
    sent.inc({ outcome: "sent" });
  } catch (error) {
    if (error instanceof MatrixError) {
      await endDelayedEvent(hs.sql, delayId, { endedMs: hs.now(), error: JSON.stringify(error) });
      sent.inc({ outcome: "refused" });
      return;
    }
    sent.inc({ outcome: "put off" });
    hs.log.error({ err: error, roomId: it.roomId }, "a delayed event could not be sent");
    await giveBack(hs.sql, delayId, hs.now() + RETRY_MS);
  }
}
