import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Counter } from "prom-client";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { Position } from "#src/homeserver/position.ts";
import { newBell } from "#src/kit/bell.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { tailOf } from "#src/streams/tail.ts";
import { followPushed } from "./follow-streams.ts";
import type { Progress } from "./progress.ts";
import type { OwedPusher } from "./pusher.ts";
import {
  deleteRejected,
  giveBack,
  leaseOwed,
  markedUpTo,
  type OwedEvent,
  owedEvents,
  type Returned,
} from "./queries-owed.ts";
import { tellByMail } from "./tell-by-mail.ts";
import { tellOverGateway } from "./tell-over-gateway.ts";

/** All in milliseconds. */
export type PusherTimes = {
  /** Between two looks at what is owed, so that many events are seen to at once. */
  readonly pauseMs: number;
  /** After this time it looks even if nothing has happened: a process may have died with what was due. */
  readonly lookMs: number;
  /** The wait after a first failure, and the longest after many. */
  readonly firstRetryMs: number;
  readonly lastRetryMs: number;
};

const USUAL_TIMES: PusherTimes = {
  pauseMs: 250,
  lookMs: 10_000,
  firstRetryMs: 1_000,
  lastRetryMs: 60 * 60 * 1000,
};

/** Within which it is mostly known who is owed what has just happened. */
const MARKED_WITHIN_MS = 25;

/** Pushers that are seen to at once, and events that are looked at in one turn of each. */
const MOST_AT_ONCE = 50;
const MOST_EVENTS = 20;

const pushes = new Counter({
  name: "archipel_pushes_total",
  help: "Turns of telling users over their pushers, by what came of it: told, rejected or failed.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});

/**
 * Tells users over their pushers what they are owed, until the homeserver stops. Every process does; each pusher
 * is one process's at a time, by a lease that ends with the process that has it. So what one leaves undone
 * another does, and after a crash somebody may be told twice, by the same event ID.
 *
 * @returns what resolves when nothing is under way any more.
 */
export async function runPushers(hs: Homeserver, times: PusherTimes = USUAL_TIMES): Promise<void> {
  const rounds = new Rounds(hs, times);
  while (!hs.stopping.aborted) {
    await rounds.wait();
    try {
      await rounds.look();
    } catch (error) {
      if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see who is to be told");
    }
  }
  await rounds.end();
}

class Rounds {
  readonly #hs: Homeserver;
  readonly #times: PusherTimes;
  readonly #holder = randomUUID();
  readonly #bell = newBell();
  readonly #running = new Set<Promise<void>>();
  #returned: Returned[] = [];
  /** Up to where something has happened that may be somebody's concern. */
  #heardOf: Position = 0;
  /** Up to where it is known of all pushers what they are owed. */
  #markedUpTo: Position = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(hs: Homeserver, times: PusherTimes) {
    this.#hs = hs;
    this.#times = times;
    tailOf(hs).listen({
      changed: (changes) => {
        for (const { stream, position } of changes) {
          if (stream === EVENTS || stream === RECEIPTS) this.#hear(position);
        }
      },
      missed: () => this.#hear(tailOf(hs).position),
    });
    hs.stopping.addEventListener("abort", this.#bell.ring, { once: true });
  }

  #hear(position: Position): void {
    this.#heardOf = Math.max(this.#heardOf, position);
    this.#bell.ring();
  }

  async wait(): Promise<void> {
    await this.#bell.rung(this.#times.lookMs);
    // Who is told of something while all is quiet need not wait for what else may happen.
    const restMs = this.#lookedAtMs + this.#times.pauseMs - performance.now();
    const { stopping } = this.#hs;
    const waitMs = Math.max(MARKED_WITHIN_MS, restMs);
    await sleep(waitMs, undefined, { signal: stopping }).catch(() => {});
    this.#lookedAtMs = performance.now();
  }

  /** Gives back those whose turn is over, and takes on those that are owed something. */
  async look(): Promise<void> {
    const { sql } = this.#hs;
    const heardOf = this.#heardOf;
    const returned = this.#returned;
    this.#returned = [];
    try {
      await giveBack(sql, this.#holder, returned);
      for (const { waitMs } of returned) if (waitMs > 0) this.#ringAfter(waitMs);
    } catch (error) {
      this.#returned.push(...returned);
      throw error;
    }
    if (this.#markedUpTo < heardOf) this.#markedUpTo = await markedUpTo(sql, followPushed.name);
    const most = MOST_AT_ONCE - this.#running.size;
    const pushers = most > 0 ? await leaseOwed(sql, { holder: this.#holder, most }) : [];
    if (pushers.length > 0) {
      const owed = await owedEvents(sql, pushers, MOST_EVENTS);
      const byPusher = Map.groupBy(owed, (it) => it.pusherKey);
      for (const it of pushers) this.#begin(it, byPusher.get(it.pusherKey) ?? []);
    }
    if (this.#markedUpTo < heardOf) this.#bell.ring();
  }

  #begin(pusher: OwedPusher, owed: readonly OwedEvent[]): void {
    const turn = turnOf(this.#hs, pusher, owed, this.#times).then((it) => {
      if (it) this.#returned.push(it);
      this.#running.delete(turn);
      this.#bell.ring();
    });
    this.#running.add(turn);
  }

  /** Looks again when something is due that has been put off. Who waits for longer than from one look to another is found by those. */
  #ringAfter(ms: number): void {
    if (ms < this.#times.lookMs) setTimeout(this.#bell.ring, ms + 1).unref();
  }

  async end(): Promise<void> {
    await Promise.all(this.#running);
    // Otherwise the lease ends by itself.
    await giveBack(this.#hs.sql, this.#holder, this.#returned).catch(() => {});
  }
}

/** One turn of a pusher. Never throws. @returns undefined if it is gone. */
async function turnOf(
  hs: Homeserver,
  pusher: OwedPusher,
  owed: readonly OwedEvent[],
  times: PusherTimes,
): Promise<Returned | undefined> {
  const { pusherKey, userId, appId } = pusher;
  const last = owed.at(-1);
  const reached = owed.length < MOST_EVENTS || !last ? pusher.owedUpTo : last.position;
  const { pushedUpTo: upTo, toldUnread: unread, mailedMs, mailGapMs } = pusher;
  const progress: Progress = { upTo, unread, mailedMs, mailGapMs };
  try {
    if (pusher.kind === "email") {
      const waitMs = await tellByMail(hs, pusher, { owed, reached }, progress);
      return { pusherKey, ...progress, failures: 0, waitMs };
    }
    const isThere = await tellOverGateway(hs, pusher, { owed, reached }, progress);
    pushes.inc({ outcome: isThere ? "told" : "rejected" });
    if (isThere) return { pusherKey, ...progress, failures: 0, waitMs: 0 };
    await deleteRejected(hs.sql, pusher);
    hs.log.info({ userId, appId }, "removed a pusher that its gateway has rejected");
    return undefined;
  } catch (error) {
    const { failures } = pusher;
    if (hs.stopping.aborted) return { pusherKey, ...progress, failures, waitMs: 0 };
    pushes.inc({ outcome: "failed" });
    const waitMs = Math.min(times.lastRetryMs, times.firstRetryMs * 2 ** Math.min(failures, 20));
    hs.log.info({ err: error, userId, appId, failures, waitMs }, "a user could not be told");
    return { pusherKey, ...progress, failures: failures + 1, waitMs };
  }
}
