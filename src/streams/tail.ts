import { Gauge } from "prom-client";
import { noAnswer } from "#src/homeserver/connection-errors.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { Position } from "#src/homeserver/position.ts";
import { within } from "#src/kit/within.ts";
import type { Change, Stream } from "./stream.ts";

/**
 * How many changes a process remembers, and of how many characters of text. At times it has twice as many. A reader that
 * is further behind asks the database.
 */
const MOST_CHANGES = 50_000;
const MOST_CHARACTERS = 48_000_000;

/** If the bus says nothing for this long, the database is asked all the same. */
const POLL_MS = 5_000;

/** At first it is asked more often: those who write may not have seen yet that there is somebody to tell. */
const FIRST_POLLS = 20;
const FIRST_POLL_MS = 100;

/** How long an answer of the database is waited for: of one on a connection that leads nowhere there is none for many minutes. */
const PATIENCE_MS = 20_000;

const positionGauge = new Gauge({
  name: "archipel_stream_position",
  help: "How far this process has followed the streams.",
  registers: [registry],
});

type Listener = {
  /**
   * Changes that are new, in the order of their positions. Either this process has made them all, and has heeded them where
   * it did, or others may have made some.
   */
  readonly changed: (changes: readonly Change[], upTo: Position, areOwn: boolean) => void;
  /** Changes were missed that will not be told: forget what rests on having heard them all. */
  readonly missed: () => void;
};

/**
 * The end of the streams, in memory: what happened last on this server, in any process, in order and
 * without a hole. Own writes are appended as they are committed; what others wrote is read from the
 * database when the bus says so. It lets a thousand readers wait for news at the cost of one.
 */
export class Tail {
  /** Everything up to here has been heard of. */
  position: Position = 0;
  /** Everything after here is in memory. */
  #start: Position = 0;
  #changes: Change[] = [];
  #characters = 0;
  readonly #listeners: Listener[] = [];
  #reading: Promise<void> | undefined;
  /** How far the streams have come: what is being asked, and what will be when that is answered. */
  #asking: Promise<Position> | undefined;
  #next: Promise<Position> | undefined;
  #wanted: Position = 0;
  #groupsInFlight = 0;
  #streams: readonly Stream<never, unknown>[] = [];
  readonly #hs: Homeserver;
  readonly #patienceMs: number;

  constructor(hs: Homeserver, patienceMs = PATIENCE_MS) {
    this.#hs = hs;
    this.#patienceMs = patienceMs;
  }

  /** Begins to follow, from where the streams are now. To be called once, before the first reader. */
  async start(streams: readonly Stream<never, unknown>[]): Promise<void> {
    this.#streams = streams;
    this.#forgetUpTo(await currentPosition(this.#hs));
    this.#hs.bus.onAdvance((position) => this.#heed(position));
    const later = setInterval(() => void this.#poll(), POLL_MS);
    let polls = 0;
    const first = setInterval(() => {
      void this.#poll();
      if (++polls === FIRST_POLLS) clearInterval(first);
    }, FIRST_POLL_MS);
    for (const timer of [later, first]) {
      timer.unref();
      this.#hs.stopping.addEventListener("abort", () => clearInterval(timer));
    }
  }

  listen(listener: Listener): void {
    this.#listeners.push(listener);
  }

  /** What happened after one position, up to and including another; undefined if that is no longer in memory. */
  between(after: Position, upTo: Position): readonly Change[] | undefined {
    if (after < this.#start) return undefined;
    return this.#changes.slice(this.#indexAfter(after), this.#indexAfter(upTo));
  }

  /** All changes that are in memory. */
  remembered(): readonly Change[] {
    return this.#changes;
  }

  /**
   * Says that a group of this process's own is about to be committed: news of it may come from the bus
   * before the commit itself returns, and need not be read.
   *
   * @returns what says that it has been committed, or not.
   */
  expectOwn(): () => void {
    this.#groupsInFlight++;
    return () => {
      this.#groupsInFlight--;
      if (this.#wanted > this.position) this.#heed(this.#wanted);
    };
  }

  #heed(position: Position): void {
    if (this.#groupsInFlight > 0) this.#wanted = Math.max(this.#wanted, position);
    else void this.#readInBackground(position);
  }

  /**
   * Takes what this process has committed. If other processes have written before it what is not
   * known here yet, all of it is read from the database.
   *
   * @returns nothing if it is known now, else a promise that it is.
   */
  append(before: Position, upTo: Position, changes: readonly Change[]): Promise<void> | undefined {
    if (before !== this.position || this.#reading) return this.#readUpTo(upTo);
    this.#add(changes, { upTo, areOwn: true });
    return undefined;
  }

  /** Returns when all that was committed before this call is known here. Calls that come while one asks ask together. */
  async catchUp(): Promise<void> {
    this.#next ??= this.#askAfter(this.#asking);
    await this.#readUpTo(await this.#next);
  }

  /**
   * Whether the streams have come to a position. One that another process has given out may be ahead of what is known here: then
   * it is asked how far they have. One that is ahead of that too is of a database that was put back to an earlier day.
   */
  async hasReached(position: Position): Promise<boolean> {
    if (position > this.position) await this.catchUp();
    return position <= this.position;
  }

  async #askAfter(asking: Promise<Position> | undefined): Promise<Position> {
    // What is asked now may have been answered already.
    await asking?.catch(() => {});
    const mine = this.#next;
    this.#asking = mine;
    this.#next = undefined;
    try {
      return await within(this.#patienceMs, currentPosition(this.#hs), noAnswer);
    } finally {
      if (this.#asking === mine) this.#asking = undefined;
    }
  }

  async #poll(): Promise<void> {
    try {
      await this.catchUp();
    } catch (error) {
      this.#complain(error);
    }
  }

  async #readInBackground(position: Position): Promise<void> {
    try {
      await this.#readUpTo(position);
    } catch (error) {
      // The poll comes back to it.
      this.#complain(error);
    }
  }

  #complain(error: unknown): void {
    if (!this.#hs.stopping.aborted) this.#hs.log.warn({ err: error }, "cannot read the streams");
  }

  async #readUpTo(position: Position): Promise<void> {
    this.#wanted = Math.max(this.#wanted, position);
    // Not until all is known that is wanted: while others write, there is always more.
    while (position > this.position) {
      this.#reading ??= this.#read(this.#wanted).finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
  }

  async #read(upTo: Position): Promise<void> {
    if (upTo - this.position > MOST_CHANGES) {
      this.#forgetUpTo(upTo);
      for (const listener of this.#listeners) this.#hears(() => listener.missed());
      return;
    }
    const after = this.position;
    const reading = this.#streams.map((it) => it.changesBetween(this.#hs.sql, after, upTo));
    const parts = await within(this.#patienceMs, Promise.all(reading), noAnswer);
    const changes = parts.flat().toSorted((a, b) => a.position - b.position);
    this.#add(changes, { upTo, areOwn: false });
  }

  #add(
    changes: readonly Change[],
    { upTo, areOwn }: { readonly upTo: Position; readonly areOwn: boolean },
  ): void {
    this.#changes.push(...changes);
    for (const it of changes) this.#characters += it.characters ?? 0;
    const areMany = this.#changes.length > 2 * MOST_CHANGES;
    if (areMany || this.#characters > 2 * MOST_CHARACTERS) this.#forgetOldest();
    this.position = upTo;
    positionGauge.set(upTo);
    for (const listener of this.#listeners) {
      const hasHeard = this.#hears(() => listener.changed(changes, upTo, areOwn));
      if (!hasHeard) this.#hears(() => listener.missed());
    }
  }

  /** Tells a listener what has happened. One that fails keeps it neither from the others nor from whoever wrote it. */
  #hears(tell: () => void): boolean {
    try {
      tell();
      return true;
    } catch (error) {
      this.#hs.log.error({ err: error }, "what follows the streams failed");
      return false;
    }
  }

  #forgetOldest(): void {
    let kept = 0;
    let characters = 0;
    for (let at = this.#changes.length - 1; at >= 0 && kept < MOST_CHANGES; at--) {
      const more = this.#changes[at]?.characters ?? 0;
      if (characters + more > MOST_CHARACTERS) break;
      characters += more;
      kept++;
    }
    const dropped = this.#changes.splice(0, this.#changes.length - kept);
    this.#start = dropped.at(-1)?.position ?? this.#start;
    this.#characters = characters;
  }

  #forgetUpTo(position: Position): void {
    this.#changes = [];
    this.#characters = 0;
    this.#start = position;
    this.position = position;
  }

  /** The index of the first change after a position. */
  #indexAfter(position: Position): number {
    let low = 0;
    let high = this.#changes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#changes[middle]?.position ?? 0) <= position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export const tailOf = held((hs) => new Tail(hs));

/** The position of the newest commit that a query made now can see. */
export async function currentPosition(hs: Homeserver): Promise<Position> {
  const [row] = await hs.sql<{ position: Position }[]>`select position from positions where id = 1`;
  return row?.position ?? 0;
}
