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

/**
 * For how long after its time it is tried to send one that others keep from being sent for now, such as a policy server that
 * does not answer: what is said, and what a state is to be, which may have become another since. The longer that takes,
 * the longer are the waits.
 */
const MOST_LATE_MS = { message: 60 * 60_000, state: 5 * 60_000 } as const;
const WAIT_SHARE = 0.25;

/** How many are taken on at once, and to how many rooms they are being sent at the most. */
const MOST_AT_ONCE = 50;
const MOST_ROOMS = 1_000;

const sent = new Counter({
  name: "archipel_delayed_events_total",
  help: "Delayed events that came due, by what became of them: sent, refused, or put off, for a fault of ours or of others.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});

/** The rooms to which this process is sending, by their keys. */
type Sending = Map<number, Promise<void>>;

/**
 * Sends delayed events when they are due, those of a room in their order, until the homeserver stops. Every
 * process does; what one has taken on when it dies is another's when its lease ends. A room that takes its time, as one
 * whose policy server does not answer, holds up no other.
 *
 * @returns what resolves when none is under way any more.
 */
export async function runDelayedEvents(hs: Homeserver): Promise<void> {
  const alarm = alarmOf(hs);
  const sending: Sending = new Map();
  hs.stopping.addEventListener("abort", alarm.ring, { once: true });
  while (!hs.stopping.aborted) {
    try {
      const next = await sendAllDue(hs, sending);
      if (next !== undefined) alarm.set(Math.max(next, hs.now() + 1));
    } catch (error) {
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see which events are due");
    }
    await alarm.wait(hs, LOOK_MS);
  }
  await Promise.all(sending.values());
}

/** Begins to send what is due to rooms to which nothing is being sent. @returns when the next is due. */
async function sendAllDue(hs: Homeserver, sending: Sending): Promise<UnixMs | undefined> {
  while (sending.size < MOST_ROOMS) {
    const next = await nextDue(hs.sql, { nowMs: hs.now(), not: [...sending.keys()] });
    if (hs.stopping.aborted || next === undefined || next > hs.now()) return next;
    if (!(await sendDue(hs, sending))) return next;
  }
  // It is looked again when one of the rooms has got all.
  return undefined;
}

/** @returns whether there was anything that this process could take on. */
async function sendDue(hs: Homeserver, sending: Sending): Promise<boolean> {
  const nowMs = hs.now();
  const lease = { nowMs, untilMs: nowMs + LEASE_MS, limit: MOST_AT_ONCE };
  const due = await hs.sql.begin(
    async (tx) => await leaseDue(tx, { ...lease, not: [...sending.keys()] }),
  );
  for (const [roomKey, its] of Map.groupBy(due, (it) => it.roomKey)) {
    const turn = sendInOrder(hs, its, lease.untilMs).finally(() => {
      sending.delete(roomKey);
      // There may be more for the room by now.
      alarmOf(hs).set(hs.now());
    });
    sending.set(roomKey, turn);
  }
  return due.length > 0;
}

/** Sends what is for one room; gives back what there is no time for. Never throws. */
async function sendInOrder(
  hs: Homeserver,
  its: readonly DelayedEvent[],
  untilMs: UnixMs,
): Promise<void> {
  try {
    for (const it of its) {
      const isTime = !hs.stopping.aborted && hs.now() < untilMs - LEASE_MS / 2;
      if (isTime) await sendOne(hs, it);
      else await giveBack(hs.sql, it.delayId);
    }
  } catch (error) {
    // What is left of them is anybody's when the lease ends.
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "delayed events wait to be sent");
  }
}

/** Sends one that was taken on, and notes what became of it. */
async function sendOne(hs: Homeserver, it: DelayedEvent): Promise<void> {
  const { delayId } = it;
  try {
    const eventId = await sendDelayedEvent(hs, it);
    await endDelayedEvent(hs.sql, delayId, { endedMs: hs.now(), eventId });
    sent.inc({ outcome: "sent" });
  } catch (error) {
    const lateMs = hs.now() - it.scheduledMs - it.delayMs;
    if (error instanceof MatrixError) {
      const mostLateMs = MOST_LATE_MS[it.stateKey === null ? "message" : "state"];
      if (error.isForNow && lateMs < mostLateMs) {
        sent.inc({ outcome: "put off" });
        hs.log.warn({ err: error, roomId: it.roomId }, "a delayed event cannot be sent now");
        const waitMs = Math.max(RETRY_MS, Math.ceil(lateMs * WAIT_SHARE));
        await giveBack(hs.sql, delayId, hs.now() + waitMs);
        return;
      }
      await endDelayedEvent(hs.sql, delayId, { endedMs: hs.now(), error: JSON.stringify(error) });
      sent.inc({ outcome: "refused" });
      return;
    }
    sent.inc({ outcome: "put off" });
    hs.log.error({ err: error, roomId: it.roomId }, "a delayed event could not be sent");
    await giveBack(hs.sql, delayId, hs.now() + RETRY_MS);
  }
}
