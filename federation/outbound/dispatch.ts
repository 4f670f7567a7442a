import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { newBell } from "#src/kit/bell.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { YieldingTurns } from "#src/kit/yielding-turns.ts";
import { longestWaitMs, retryWaitMs } from "./back-off.ts";
import { type Attempt, Courier, type Office } from "./courier.ts";
import { type OutboundTimes, USUAL_TIMES } from "./outbound-times.ts";
import {
  giveBack,
  type Leased,
  leaseNamed,
  leaseOwed,
  renewLeases,
  type Returned,
  saveTaken,
} from "./queries-destinations.ts";
import { readTroubles } from "./read-troubles.ts";
import { SetAside } from "./set-aside.ts";

/** The wait after a query has failed. */
const AGAIN_MS = 1_000;

/** Transactions that are under way at once, and those that may be beside them, since they take long. */
const TURNS = { atOnce: 64, mostSlow: 512 };

/** Destinations that are taken on in one go. */
const MOST_LEASED = 200;

/** Transactions that are remembered of destinations that do not answer. */
const MOST_ATTEMPTS = 20;

/**
 * The destinations that this process sends to. One loop asks the database for all of them: takes on those
 * that are woken or owed something, writes down how far they have come, and gives back those that are
 * quiet or cannot be reached.
 */
export class Dispatch {
  readonly #hs: Homeserver;
  readonly #times: OutboundTimes;
  readonly #holder = randomUUID();
  readonly #bell = newBell();
  readonly #turns: YieldingTurns;
  readonly #couriers = new Map<ServerName, Courier>();
  /** Those that are to be taken on. */
  #woken = new Set<ServerName>();
  readonly #aside = new SetAside();
  readonly #unsaved = new Set<Courier>();
  readonly #untold: { readonly server: ServerName; readonly key: string; readonly edu: string }[] =
    [];
  #returned: Returned[] = [];
  readonly #attempts = lru<ServerName, Attempt>(MOST_ATTEMPTS);
  // By the clock that nobody sets, as all times in here and of `#aside`.
  #saveAtMs = Number.POSITIVE_INFINITY;
  #renewAtMs = 0;
  #lookAtMs = 0;

  constructor(hs: Homeserver, times: OutboundTimes = USUAL_TIMES) {
    this.#hs = hs;
    this.#times = times;
    this.#turns = new YieldingTurns({ ...TURNS, slowMs: times.slowMs });
  }

  /** Says that servers may be owed something. */
  wake(servers: Iterable<ServerName>): void {
    for (const server of servers) {
      const courier = this.#couriers.get(server);
      if (courier) courier.wake();
      else if (!this.#aside.has(server)) {
        this.#woken.add(server);
        this.#bell.ring();
      }
    }
  }

  /** Has servers told of something passing, in place of what has the same key: those that take what they are sent. */
  tell(servers: Iterable<ServerName>, key: string, edu: string): void {
    for (const server of servers) {
      const courier = this.#couriers.get(server);
      if (courier) courier.tell(key, edu);
      else if (!this.#aside.has(server)) this.#untold.push({ server, key, edu });
    }
    this.wake(this.#untold.map((it) => it.server));
  }

  /** Says that something may have been overlooked. */
  wakeAll(): void {
    this.wake(this.#couriers.keys());
    this.#lookAtMs = 0;
    this.#bell.ring();
  }

  /** Says that a server has been heard of. */
  heard(server: ServerName): void {
    if (this.#aside.heard(server)) this.#bell.ring();
  }

  /** Sends until the homeserver stops. @returns when nothing is under way, and all has been given back. */
  async run(): Promise<void> {
    const { stopping } = this.#hs;
    stopping.addEventListener("abort", this.#bell.ring, { once: true });
    while (!stopping.aborted) {
      try {
        await this.#round();
      } catch (error) {
        if (stopping.aborted) break;
        this.#hs.log.warn({ err: error }, "cannot see what is to be sent to other servers");
        this.#lookAtMs = 0;
        await sleep(AGAIN_MS, undefined, { signal: stopping }).catch(() => {});
      }
      const { nextMs } = this.#aside;
      const next = Math.min(this.#saveAtMs, this.#renewAtMs, this.#lookAtMs, nextMs);
      await this.#bell.rung(Math.max(0, next - performance.now()));
    }
    await this.#end();
  }

  async #round(): Promise<void> {
    const { lookMs, renewMs } = this.#times;
    await this.#giveBack();
    await this.#takeOnWoken();
    await this.#takeOnHeard();
    if (performance.now() >= this.#saveAtMs) await this.#save();
    if (performance.now() >= this.#renewAtMs) {
      await this.#renew();
      this.#renewAtMs = performance.now() + renewMs;
    }
    if (performance.now() >= this.#lookAtMs) {
      this.#lookAtMs = performance.now() + lookMs;
      await this.#look();
    }
  }

  async #takeOnWoken(): Promise<void> {
    if (this.#woken.size === 0) return;
    const names = [...this.#woken];
    this.#woken = new Set();
    this.#takeOn(await leaseNamed(this.#hs.sql, names, { ...this.#lease, heard: false }));
    for (const { server, key, edu } of this.#untold.splice(0)) {
      this.#couriers.get(server)?.tell(key, edu);
    }
    const until = performance.now() + this.#times.lookMs;
    for (const name of names) if (!this.#couriers.has(name)) this.#aside.isElsewhere(name, until);
  }

  async #takeOnHeard(): Promise<void> {
    const names = this.#aside.takeHeard(performance.now());
    if (names.length === 0) return;
    this.#takeOn(await leaseNamed(this.#hs.sql, names, { ...this.#lease, heard: true }));
  }

  /** Looks for what is owed and nobody sends: after a failure, a crash, or what was overlooked. */
  async #look(): Promise<void> {
    const leased = await leaseOwed(this.#hs.sql, {
      ...this.#lease,
      most: MOST_LEASED,
      longestWaitMs: longestWaitMs(this.#hs),
    });
    const isAllNew = !leased.some((it) => this.#couriers.has(it.serverName));
    this.#takeOn(leased);
    if (leased.length === MOST_LEASED && isAllNew) this.#lookAtMs = 0;
    const { failing, retryInMs } = await readTroubles(this.#hs);
    const now = performance.now();
    this.#aside.refresh(
      failing.filter((it) => !this.#couriers.has(it)),
      now,
    );
    this.#lookAtMs = Math.min(this.#lookAtMs, now + retryInMs + 20);
  }

  get #lease() {
    return { holder: this.#holder, leaseMs: this.#times.leaseMs };
  }

  #takeOn(leased: readonly Leased[]): void {
    for (const it of leased) {
      if (this.#returned.some((own) => own.serverName === it.serverName)) continue;
      const own = this.#couriers.get(it.serverName);
      if (own) {
        // It has overlooked something, or its place was not written down.
        own.wake();
        this.#office.taken(own);
        continue;
      }
      const attempt = this.#attempts.get(it.serverName);
      this.#attempts.delete(it.serverName);
      const courier = new Courier(this.#hs, this.#office, it, attempt);
      this.#aside.takenOn(it.serverName);
      this.#couriers.set(it.serverName, courier);
      courier.wake();
    }
  }

  readonly #office: Office = {
    turn: async (work) => void (await this.#turns.take(work)),
    taken: (courier) => {
      if (this.#unsaved.size === 0) {
        this.#saveAtMs = performance.now() + this.#times.saveMs;
        this.#bell.ring();
      }
      this.#unsaved.add(courier);
    },
    failed: (courier) => {
      const { serverName, attempt, owedUpTo } = courier;
      const waitMs = retryWaitMs(this.#hs, courier, Math.random());
      const now = performance.now();
      this.#aside.failed(serverName, now + Math.min(waitMs, this.#times.calmMs));
      this.#lookAtMs = Math.min(this.#lookAtMs, now + waitMs + 20);
      if (attempt) this.#attempts.set(serverName, attempt);
      this.#return(courier, { waitMs, owedUpTo });
      this.#bell.ring();
    },
  };

  #return(courier: Courier, { waitMs = 0, owedUpTo = courier.takenUpTo } = {}): void {
    const { serverName, takenUpTo, failures } = courier;
    this.#couriers.delete(serverName);
    this.#unsaved.delete(courier);
    this.#returned.push({ serverName, takenUpTo, owedUpTo, failures, waitMs });
  }

  async #giveBack(): Promise<void> {
    if (this.#returned.length === 0) return;
    const returned = this.#returned;
    this.#returned = [];
    await giveBack(this.#hs.sql, returned, { holder: this.#holder });
  }

  async #save(): Promise<void> {
    const couriers = [...this.#unsaved];
    this.#unsaved.clear();
    this.#saveAtMs = Number.POSITIVE_INFINITY;
    if (couriers.length > 0) await saveTaken(this.#hs.sql, couriers, { holder: this.#holder });
  }

  /** Keeps the destinations that this process has, but for those that have been quiet for a while. */
  async #renew(): Promise<void> {
    const quietSince = performance.now() - this.#times.idleMs;
    for (const courier of this.#couriers.values()) {
      if (courier.isIdle && courier.idleSinceMs < quietSince) this.#return(courier);
    }
    await this.#giveBack();
    const names = [...this.#couriers.keys()];
    if (names.length === 0) return;
    const kept = await renewLeases(this.#hs.sql, names, this.#lease);
    for (const name of names) {
      const courier = this.#couriers.get(name);
      if (!courier || kept.has(name)) continue;
      this.#hs.log.warn({ destination: name }, "another process has taken over a destination");
      this.#couriers.delete(name);
      this.#unsaved.delete(courier);
      void courier.stop();
    }
  }

  async #end(): Promise<void> {
    const couriers = [...this.#couriers.values()];
    await Promise.all(couriers.map(async (it) => await it.stop()));
    for (const courier of couriers) this.#return(courier);
    try {
      await this.#giveBack();
    } catch (error) {
      // The leases will end by themselves, and what was sent since is sent again.
      this.#hs.log.warn({ err: error }, "cannot write down what other servers have taken");
    }
  }
}
