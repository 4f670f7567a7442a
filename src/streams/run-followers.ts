import { setTimeout as sleep } from "node:timers/promises";
import { Counter, Gauge } from "prom-client";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { Position } from "#src/homeserver/position.ts";
import { type Bell, newBell } from "#src/kit/bell.ts";
import type { Follower } from "./follower.ts";
import { tailOf } from "./tail.ts";

/** All in milliseconds. */
export type FollowerTimes = {
  /** Between two transactions of a follower, so that a busy stream is handled many changes at a time. */
  readonly pauseMs: number;
  /** How long a process leaves it to the one that last had the follower. */
  readonly standbyMs: number;
  /** After this time it looks even if nobody has said that there is something. */
  readonly lookMs: number;
  /** The wait after a first failure, and the longest after many. */
  readonly firstRetryMs: number;
  readonly lastRetryMs: number;
};

const USUAL_TIMES: FollowerTimes = {
  pauseMs: 25,
  standbyMs: 200,
  lookMs: 5_000,
  firstRetryMs: 1_000,
  lastRetryMs: 60_000,
};

const transactions = new Counter({
  name: "archipel_follower_transactions_total",
  help: "Transactions of followers in this process, by outcome: advanced or failed.",
  labelNames: ["follower", "outcome"] as const,
  registers: [registry],
});
const positions = new Gauge({
  name: "archipel_follower_position",
  help: "How far a follower has come, as far as this process has moved it.",
  labelNames: ["follower"] as const,
  registers: [registry],
});

/**
 * Runs followers until the homeserver stops. Every process runs all of them; of each, one process at
 * a time acts, the one that holds the lock of its row, and the others stand by. When that one dies,
 * its transaction is undone and another does it.
 *
 * @returns what resolves when the homeserver is stopping and no follower acts here any more.
 */
export async function runFollowers(
  hs: Homeserver,
  followers: readonly Follower[],
  times: FollowerTimes = USUAL_TIMES,
): Promise<void> {
  await Promise.all(followers.map(async (follower) => await follow(hs, follower, times)));
}

async function follow(hs: Homeserver, follower: Follower, times: FollowerTimes): Promise<void> {
  const bell = bellFor(hs, follower);
  let isKnown = false;
  let isOurs = true;
  // Everything up to here has been handled, by whatever process.
  let handledUpTo: Position = -1;
  let failures = 0;
  while (!hs.stopping.aborted) {
    try {
      if (!isKnown) await register(hs, follower);
      isKnown = true;
      // What the tail has heard of has been committed, so the transaction that begins now sees it.
      const upTo = tailOf(hs).position;
      const step = handledUpTo < upTo ? await act(hs, follower, upTo) : "done";
      failures = 0;
      if (step !== "done") isOurs = step !== "elsewhere";
      if (step === "behind") continue;
      if (step === "elsewhere") bell.ring();
      else handledUpTo = upTo;
    } catch (error) {
      if (hs.stopping.aborted) return;
      failures++;
      transactions.inc({ follower: follower.name, outcome: "failed" });
      hs.log.error({ err: error, follower: follower.name, failures }, "a follower failed");
      await pause(hs, Math.min(times.lastRetryMs, times.firstRetryMs * 2 ** (failures - 1)));
      continue;
    }
    await pause(hs, follower.pauseMs ?? times.pauseMs);
    await bell.rung(times.lookMs);
    // Most often the process that has done it so far does it now, and is done before we look.
    if (!isOurs) await pause(hs, times.standbyMs);
  }
}

/** Gives a follower that is new a place to begin from. */
async function register(hs: Homeserver, { name, begins }: Follower): Promise<void> {
  await hs.sql`
    insert into stream_followers (name, position)
    select ${name}, case when ${begins === "now"} then position else 0 end from positions where id = 1
    on conflict do nothing`;
}

/**
 * What came of a transaction: the follower has handled all, or a part; another process is at it; or
 * nothing was left to do.
 */
type Step = "advanced" | "behind" | "elsewhere" | "done";

/** Lets a follower handle what it has not yet, in one transaction. */
async function act(hs: Homeserver, follower: Follower, upTo: Position): Promise<Step> {
  const { name } = follower;
  return await hs.sql.begin(async (tx) => {
    const [row] = await tx<{ position: Position }[]>`
      select position from stream_followers where name = ${name} for update skip locked`;
    if (!row) return "elsewhere";
    if (row.position >= upTo) return "done";

    const reached = await follower.handle(hs, tx, row.position, upTo);
    if (reached <= row.position || reached > upTo) {
      throw new RangeError(`the follower ${name} says that it has reached ${reached}`);
    }
    await tx`update stream_followers set position = ${reached} where name = ${name}`;
    transactions.inc({ follower: name, outcome: "advanced" });
    positions.set({ follower: name }, reached);
    return reached < upTo ? "behind" : "advanced";
  });
}

/** What rings when something happened that a follower looks at. */
function bellFor(hs: Homeserver, { streams }: Follower): Bell {
  const bell = newBell();
  tailOf(hs).listen({
    changed(changes) {
      if (!streams || changes.some((it) => streams.includes(it.stream))) bell.ring();
    },
    missed: bell.ring,
  });
  hs.stopping.addEventListener("abort", bell.ring, { once: true });
  return bell;
}

async function pause(hs: Homeserver, ms: number): Promise<void> {
  await sleep(ms, undefined, { signal: hs.stopping }).catch(() => {});
}
