import { forgetBundles } from "#src/devices/messages-for-servers.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { Transaction } from "#src/homeserver/remotes.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { OutboundError } from "#src/outbound/outbound-failure.ts";
import { type Parcel, packTransaction } from "./pack-transaction.ts";
import type { Leased } from "./queries-destinations.ts";
import { type Delivery, isRefusedAsBad, sendTransaction } from "./send-transaction.ts";
import { newTransactionId } from "./transaction-id.ts";
import { whyNotTaken } from "./why-not-taken.ts";

/** EDUs of a transaction that nobody would miss. */
const MOST_PASSING = 5;

/** How many failures in a row it takes for the log to tell of it. */
const TOLD_FAILURES = 5;

/** A transaction that was made, and what it is of. */
export type Attempt = { readonly parcel: Parcel; readonly transaction: Transaction };

/** To whom a courier reports. */
export type Office = {
  /** Waits until it may go: only so many are under way at once. */
  readonly turn: (work: () => Promise<void>) => Promise<void>;
  /** The destination has taken something. */
  readonly taken: (courier: Courier) => void;
  /** The destination could not be reached, or did not take what it was given. */
  readonly failed: (courier: Courier) => void;
};

/**
 * Carries to one destination what it is owed, one transaction after the other, as long as this process
 * has the destination.
 */
export class Courier {
  readonly serverName: ServerName;
  takenUpTo: Position;
  failures: number;
  /** Up to where it was owed something, when it failed. */
  owedUpTo: Position;
  /** How long the destination has asked us to wait, when it failed. */
  askedToWaitMs = 0;
  /** By the clock that nobody sets. */
  idleSinceMs: number;
  /**
   * What was sent and perhaps has arrived: it goes again as it was, before anything else.
   *
   * @spec server-server-api#put_matrixfederationv1sendtxnid
   */
  attempt: Attempt | undefined;
  readonly #hs: Homeserver;
  readonly #office: Office;
  readonly #stop = new AbortController();
  readonly #passing = new Map<string, string>();
  #isWoken = false;
  #run: Promise<void> | undefined;

  constructor(hs: Homeserver, office: Office, leased: Leased, attempt: Attempt | undefined) {
    this.#hs = hs;
    this.#office = office;
    this.serverName = leased.serverName;
    this.takenUpTo = leased.takenUpTo;
    this.owedUpTo = leased.takenUpTo;
    this.failures = leased.failures;
    this.idleSinceMs = performance.now();
    // Another process may have sent it since.
    if (attempt?.parcel.after === leased.takenUpTo) this.attempt = attempt;
  }

  get isIdle(): boolean {
    return this.#run === undefined;
  }

  /** Says that there may be something to carry. */
  wake(): void {
    this.#isWoken = true;
    // Once nothing more is carried, a run would be over before it began, and wake the next for ever.
    if (!this.#run && !this.#stop.signal.aborted && !this.#hs.stopping.aborted) {
      this.#run = this.#carryAll().finally(() => {
        this.#run = undefined;
        this.idleSinceMs = performance.now();
        if (this.#isWoken) this.wake();
      });
    }
  }

  /** Takes along what is true now and will not be later, in place of what has the same key. */
  tell(key: string, edu: string): void {
    this.#passing.set(key, edu);
    this.wake();
  }

  /** Stops, since the destination is not this process's any more. @returns when nothing is under way. */
  async stop(): Promise<void> {
    this.#isWoken = false;
    this.#stop.abort();
    await this.#run;
  }

  /** Never throws. */
  async #carryAll(): Promise<void> {
    let isMore = true;
    try {
      while (isMore && !this.#hs.stopping.aborted) {
        await this.#office.turn(async () => {
          isMore = await this.#carry();
        });
      }
    } catch (error) {
      if (this.#hs.stopping.aborted || this.#stop.signal.aborted) return;
      this.#hs.log.error({ err: error, destination: this.serverName }, "cannot send to a server");
      this.#fail({});
    }
  }

  /** Carries one transaction. @returns whether there is more. */
  async #carry(): Promise<boolean> {
    const { signal } = this.#stop;
    if (signal.aborted) return false;
    this.#isWoken = false;
    const attempt = this.attempt ?? (await this.#prepare());
    if (signal.aborted) return false;
    const { parcel, transaction } = attempt;
    const isNothing = transaction.pdus.length + transaction.edus.length === 0;
    if (!isNothing && !(await this.#deliver(attempt, signal))) return false;
    this.attempt = undefined;
    // By a stretch in which it is owed nothing it is not known any better whether it answers.
    if (!isNothing || !parcel.isMore) this.#answers();
    if (parcel.bundles.length > 0) await forgetBundles(this.#hs, this.serverName, parcel.bundles);
    const hasMoved = this.#take(parcel) || parcel.bundles.length > 0;
    return (parcel.isMore && hasMoved) || this.#isWoken;
  }

  /** @returns whether the destination has it now. */
  async #deliver(attempt: Attempt, signal: AbortSignal): Promise<boolean> {
    const { serverName } = this;
    const to = { server: serverName, signal };
    const answer = await sendTransaction(this.#hs, attempt.transaction, to);
    if (answer.ok) return true;
    this.attempt = mayHaveArrived(answer) ? attempt : undefined;
    if (signal.aborted || this.#hs.stopping.aborted) return false;
    const why = whyNotTaken(answer);
    this.#hs.log.debug({ destination: serverName, ...why }, "a server takes nothing now");
    this.owedUpTo = attempt.parcel.upTo;
    this.askedToWaitMs = (answer.why === "refused" && answer.retryAfterMs) || 0;
    this.#fail(why);
    return false;
  }

  async #prepare(): Promise<Attempt> {
    const parcel = await packTransaction(this.#hs, this.serverName, this.takenUpTo);
    const passing = [...this.#passing.values()].slice(0, MOST_PASSING);
    this.#passing.clear();
    const now = this.#hs.now();
    return {
      parcel,
      transaction: {
        txnId: newTransactionId(now),
        origin_server_ts: now,
        pdus: parcel.pdus,
        edus: [...parcel.edus, ...passing],
      },
    };
  }

  /** @returns whether it has come further. */
  #take({ upTo }: Parcel): boolean {
    if (upTo === this.takenUpTo) return false;
    this.takenUpTo = upTo;
    this.#office.taken(this);
    return true;
  }

  #answers(): void {
    if (this.failures >= TOLD_FAILURES) {
      this.#hs.log.info({ destination: this.serverName }, "a server takes what it is sent again");
    }
    this.failures = 0;
  }

  #fail(why: object): void {
    this.failures++;
    if (this.failures === TOLD_FAILURES) {
      this.#hs.log.info(
        { destination: this.serverName, ...why },
        "a server takes nothing: it is tried now and then",
      );
    }
    this.#isWoken = false;
    this.#office.failed(this);
  }
}

/** What was refused has not been taken. It goes together with what is owed by then: among others it shows what is at fault. */
function mayHaveArrived(answer: Delivery & { readonly ok: false }): boolean {
  if (answer.why !== "unreachable") return !isRefusedAsBad(answer);
  return !(answer.cause instanceof OutboundError && answer.cause.isBeforeSending);
}
