import { setImmediate as nextTurn } from "node:timers/promises";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { owedEvents } from "./queries-owed.ts";

/** The most events of a transaction. @spec server-server-api#transactions */
const MOST_PDUS = 50;

/** For how many destinations one query asks. */
const MOST_AT_ONCE = 100;

/** The next piece of the streams as they concern one destination. */
export type Parcel = {
  /** From just after one position up to and including another. */
  readonly after: Position;
  readonly upTo: Position;
  /** The events' texts, in order. */
  readonly pdus: readonly string[];
  /** Whether there is more after it already. */
  readonly isMore: boolean;
};

type Question = {
  readonly serverName: ServerName;
  readonly after: Position;
  readonly resolve: (parcel: Parcel) => void;
  readonly reject: (error: unknown) => void;
};

const waitingOf = held((): Question[] => []);

/** Puts together what a destination is owed next. Destinations for which this is asked at the same time share a query. */
export async function packTransaction(
  hs: Homeserver,
  serverName: ServerName,
  after: Position,
): Promise<Parcel> {
  const waiting = waitingOf(hs);
  const packed = new Promise<Parcel>((resolve, reject) => {
    waiting.push({ serverName, after, resolve, reject });
  });
  if (waiting.length === 1) void answerAll(hs, waiting);
  return await packed;
}

async function answerAll(hs: Homeserver, waiting: Question[]): Promise<void> {
  await nextTurn();
  const all = waiting.splice(0);
  for (let at = 0; at < all.length; at += MOST_AT_ONCE) {
    await answer(hs, all.slice(at, at + MOST_AT_ONCE));
  }
}

/** Never throws: whoever has asked hears of it. */
async function answer(hs: Homeserver, questions: readonly Question[]): Promise<void> {
  try {
    // What the tail has heard of has been committed, so the query that is made now sees it.
    const upTo = tailOf(hs).position;
    const rows = await owedEvents(hs.sql, questions, { upTo, limit: MOST_PDUS + 1 });
    const owed = Map.groupBy(rows, (it) => it.serverName);
    const events = await eventsOf(
      hs,
      rows.map((it) => it.eventKey),
    );
    for (const { serverName, after, resolve } of questions) {
      const keys = (owed.get(serverName) ?? []).map((it) => it.eventKey).toSorted((a, b) => a - b);
      const isMore = keys.length > MOST_PDUS;
      const sent = keys.slice(0, MOST_PDUS);
      resolve({
        after,
        upTo: (isMore ? sent.at(-1) : undefined) ?? Math.max(after, upTo),
        pdus: sent.flatMap((key) => events.get(key)?.json ?? []),
        isMore,
      });
    }
  } catch (error) {
    for (const { reject } of questions) reject(error);
  }
}
