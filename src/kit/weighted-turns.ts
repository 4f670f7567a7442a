/** Lets as much go on at once as may, by weight; the rest waits for its turn, first come first served. */
export class WeightedTurns {
  #taken = 0;
  #waitingWeight = 0;
  readonly #waiting: { readonly weight: number; readonly go: () => void }[] = [];
  readonly #most: number;
  readonly #mostWaiting: number;

  /**
   * @param most how much may go on at once. What weighs more than that goes on by itself.
   * @param mostWaiting how much may wait.
   */
  constructor(most: number, mostWaiting: number) {
    this.#most = most;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Waits for a turn. Whoever has one must not wait for another, and gives it back.
   *
   * @param signal gives it up.
   * @returns whether it is there: not if too much waits already.
   */
  async take(weight: number, signal: AbortSignal): Promise<boolean> {
    if (this.#waiting.length === 0 && this.#hasRoomFor(weight)) {
      this.#taken += weight;
      return true;
    }
    if (signal.aborted || this.#waitingWeight + weight > this.#mostWaiting) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const it = { weight, go: () => resolve(true) };
    this.#waiting.push(it);
    this.#waitingWeight += weight;
    const giveUp = () => {
      const index = this.#waiting.indexOf(it);
      if (index < 0) return;
      this.#waiting.splice(index, 1);
      this.#waitingWeight -= weight;
      resolve(false);
      // Those behind it may have waited for it alone.
      this.#goOn();
    };
    signal.addEventListener("abort", giveUp);
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  give(weight: number): void {
    this.#taken -= weight;
    this.#goOn();
  }

  #goOn(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (!this.#hasRoomFor(next.weight)) return;
      this.#waiting.shift();
      this.#waitingWeight -= next.weight;
      this.#taken += next.weight;
      next.go();
    }
  }

  #hasRoomFor(weight: number): boolean {
    return this.#taken === 0 || this.#taken + weight <= this.#most;
  }
}
