import { Turns } from "#src/kit/turns.ts";

/** Transactions that are under way at once. */
const MOST_AT_ONCE = 64;

/** Those that may be under way beside them, since they take long. */
const MOST_SLOW = 512;

/** Lets so many transactions be under way at once; servers that take their time hold up no others. */
export class SendingTurns {
  readonly #turns = new Turns(MOST_AT_ONCE, Number.POSITIVE_INFINITY);
  readonly #slowMs: number;
  #slow = 0;

  /** @param slowMs after what time a transaction leaves its turn to another, and goes on without. */
  constructor(slowMs: number) {
    this.#slowMs = slowMs;
  }

  /** Does a piece of work when its turn comes. Returns when it is done. */
  async take(work: () => Promise<void>): Promise<void> {
    let working = Promise.resolve();
    await this.#turns.take(async () => {
      working = work();
      await this.#endOrSlow(working);
    });
    await working;
  }

  async #endOrSlow(working: Promise<void>): Promise<void> {
    // How it ends is for whoever waits for the work itself.
    const ended = working.catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const slow = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        if (this.#slow >= MOST_SLOW) return;
        this.#slow++;
        void ended.then(() => this.#slow--);
        resolve();
      }, this.#slowMs);
    });
    await Promise.race([ended, slow]);
    clearTimeout(timer);
  }
}
