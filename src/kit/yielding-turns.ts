import { Turns } from "./turns.ts";

export type YieldingLimits = {
  /** How many pieces of work go on at once, and how many may wait. */
  readonly atOnce: number;
  readonly mostWaiting?: number;
  /** After what time one leaves its turn to another and goes on without. */
  readonly slowMs: number;
  /** How many may so go on beside the others. */
  readonly mostSlow: number;
};

/** Lets a number of pieces of work go on at once; those that take their time hold up no others. */
export class YieldingTurns {
  readonly #turns: Turns;
  readonly #slowMs: number;
  readonly #mostSlow: number;
  #slow = 0;

  constructor({
    atOnce,
    mostWaiting = Number.POSITIVE_INFINITY,
    slowMs,
    mostSlow,
  }: YieldingLimits) {
    this.#turns = new Turns(atOnce, mostWaiting);
    this.#slowMs = slowMs;
    this.#mostSlow = mostSlow;
  }

  /**
   * Does a piece of work when its turn comes.
   *
   * @returns when it is done; undefined, at once and without doing it, if too many wait already.
   */
  async take<T>(work: () => Promise<T>): Promise<{ readonly done: T } | undefined> {
    const turn = await this.#turns.take(async () => {
      const working = work();
      await this.#endOrSlow(working);
      return { working };
    });
    return turn && { done: await turn.done.working };
  }

  async #endOrSlow(working: Promise<unknown>): Promise<void> {
    // How it ends is for whoever waits for the work itself.
    const ended = working.then(
      () => {},
      () => {},
    );
    let timer: NodeJS.Timeout | undefined;
    const slow = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        if (this.#slow >= this.#mostSlow) return;
        this.#slow++;
        void ended.then(() => this.#slow--);
        resolve();
      }, this.#slowMs);
    });
    await Promise.race([ended, slow]);
    clearTimeout(timer);
  }
}
