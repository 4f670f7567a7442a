/** Lets a number of pieces of work go on at once; the others wait for their turn, first come first served. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #mostWaiting: number;

  /**
   * @param atOnce how many may go on at once.
   * @param mostWaiting how many may wait.
   */
  constructor(atOnce: number, mostWaiting: number) {
    this.#free = atOnce;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Does a piece of work when its turn comes.
   *
   * @returns undefined, at once and without doing it, if too many wait already.
   */
  async take<T>(work: () => Promise<T>): Promise<{ readonly done: T } | undefined> {
    if (this.#free > 0) this.#free--;
    else if (this.#waiting.length >= this.#mostWaiting) return undefined;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return { done: await work() };
    } finally {
      // The turn goes over to who waits: nobody who comes meanwhile gets ahead of them.
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
