import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Counter } from "prom-client";
import { askAppservice } from "#src/appservices/ask-appservice.ts";
import type { Appservice } from "#src/config/appservice.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import { newBell } from "#src/kit/bell.ts";
import { tailOf } from "#src/streams/tail.ts";
import { makeTransaction } from "./make-transaction.ts";
import {
  beginFeeds,
  endTransaction,
  type Feed,
  keepTransaction,
  leaseFeed,
  passOver,
  putOff,
  releaseFeeds,
} from "./queries-feeds.ts";

/** All in milliseconds. */
export type FeedTimes = {
  /** Between two looks, so that what happens at once is told together. */
  readonly pauseMs: number;
  /** After this time it looks even if nothing has been heard. */
  readonly lookMs: number;
  /** How long a process leaves it to the one that has the application service. */
  readonly standbyMs: number;
  /** The wait after a first failure, and the longest after many. */
  readonly firstRetryMs: number;
  readonly lastRetryMs: number;
  /** How long an application service may take. */
  readonly timeoutMs: number;
};

const USUAL_TIMES: FeedTimes = {
  pauseMs: 50,
  lookMs: 2_000,
  standbyMs: 1_000,
  firstRetryMs: 500,
  lastRetryMs: 60_000,
  timeoutMs: 60_000,
};

const transactions = new Counter({
  name: "archipel_appservice_transactions_total",
  help: "Attempts to tell application services something, by what came of it: taken or failed.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});

/**
 * Tells application services what happens, until the homeserver stops. Every process does; each application service is
 * one process's at a time, by a lease that ends with the process that has it. A transaction is written down before it
 * is sent: whoever goes on with it says the same under the same number.
 *
 * @returns what resolves when nothing is under way any more.
 */
export async function runFeeds(hs: Homeserver, times: FeedTimes = USUAL_TIMES): Promise<void> {
  const told = hs.config.appservices.filter((it) => it.url !== null);
  const ids = told.map((it) => it.id);
  await begin(hs, ids, times);
  if (told.length === 0) return;
  const holder = randomUUID();
  await Promise.all(told.map(async (it) => await follow(hs, it, { holder, times })));
  // Otherwise the lease ends by itself.
  await releaseFeeds(hs.sql, holder).catch(() => {});
}

async function begin(hs: Homeserver, ids: readonly string[], times: FeedTimes): Promise<void> {
  while (!hs.stopping.aborted) {
    try {
      await beginFeeds(hs.sql, ids, hs.now());
      return;
    } catch (error) {
      if (hs.stopping.aborted) return;
      hs.log.warn({ err: error }, "cannot begin to tell application services");
      await sleep(times.standbyMs, undefined, { signal: hs.stopping }).catch(() => {});
    }
  }
}

async function follow(
  hs: Homeserver,
  appservice: Appservice,
  { holder, times }: { readonly holder: string; readonly times: FeedTimes },
): Promise<void> {
  const bell = newBell();
  tailOf(hs).listen({ changed: bell.ring, missed: bell.ring });
  hs.stopping.addEventListener("abort", bell.ring, { once: true });
  while (!hs.stopping.aborted) {
    let pauseMs = times.standbyMs;
    try {
      const feed = await leaseFeed(hs.sql, { appserviceId: appservice.id, holder });
      const isBehind = feed !== undefined && (await turn(hs, appservice, { feed, times }));
      if (isBehind) continue;
      if (feed) pauseMs = times.pauseMs;
    } catch (error) {
      if (hs.stopping.aborted) return;
      const { id } = appservice;
      hs.log.warn({ err: error, appservice: id }, "cannot see what an application service is owed");
    }
    await bell.rung(times.lookMs);
    await sleep(pauseMs, undefined, { signal: hs.stopping }).catch(() => {});
  }
}

/** Tells one transaction, if there is anything to tell. @returns whether there may be more. */
async function turn(
  hs: Homeserver,
  appservice: Appservice,
  { feed, times }: { readonly feed: Feed; readonly times: FeedTimes },
): Promise<boolean> {
  const { body, lastTxn, toldUpTo } = feed;
  if (body !== null) return await tell(hs, appservice, { feed, times, body, txn: lastTxn });
  const { position } = tailOf(hs);
  if (position <= toldUpTo) return false;
  const made = await makeTransaction(hs, appservice, { after: toldUpTo, upTo: position });
  if (made.body === undefined) {
    await passOver(hs.sql, feed, made.upTo);
    return made.upTo < position;
  }
  const txn = await keepTransaction(hs.sql, feed, { ...made, body: made.body });
  if (txn === undefined) return false;
  return await tell(hs, appservice, { feed, times, body: made.body, txn });
}

async function tell(
  hs: Homeserver,
  appservice: Appservice,
  it: {
    readonly feed: Feed;
    readonly times: FeedTimes;
    readonly body: string;
    readonly txn: number;
  },
): Promise<boolean> {
  const { feed, times, body, txn } = it;
  try {
    const path = `/_matrix/app/v1/transactions/${txn}`;
    const purpose = "sendTransaction";
    const { timeoutMs } = times;
    const answer = await askAppservice(hs, appservice, {
      purpose,
      method: "PUT",
      path,
      body,
      timeoutMs,
    });
    const status = answer?.status ?? 0;
    if (status < 200 || status > 299) throw new Error(`it answers with status ${status}`);
  } catch (error) {
    if (hs.stopping.aborted) return false;
    transactions.inc({ outcome: "failed" });
    const failures = feed.failures + 1;
    const waitMs = Math.min(
      times.lastRetryMs,
      times.firstRetryMs * 2 ** Math.min(feed.failures, 20),
    );
    await putOff(hs.sql, feed, { failures, waitMs });
    const about = { err: error, appservice: appservice.id, failures, waitMs };
    hs.log.warn(about, "an application service has not taken what it was told");
    return false;
  }
  await endTransaction(hs.sql, feed, txn);
  transactions.inc({ outcome: "taken" });
  return true;
}
