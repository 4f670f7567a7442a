import type { ServerName } from "#src/kit/identifiers.ts";

/**
 * Destinations that this process leaves alone: those that have failed, and those that another process has. All times are by
 * the clock that nobody sets.
 */
export class SetAside {
  /** Those that wait after a failure, and from when a sign of life is heeded. */
  #waiting = new Map<ServerName, number>();
  /** Those of them that have given one, and from when they are to be tried. */
  readonly #heard = new Map<ServerName, number>();
  /** Those that could not be had, and until when not to ask again. */
  readonly #elsewhere = new Map<ServerName, number>();

  has(server: ServerName): boolean {
    return this.#waiting.has(server) || this.#elsewhere.has(server);
  }

  failed(server: ServerName, notBeforeMs: number): void {
    this.#waiting.set(server, notBeforeMs);
  }

  isElsewhere(server: ServerName, untilMs: number): void {
    this.#elsewhere.set(server, untilMs);
  }

  /** It is this process's now. */
  takenOn(server: ServerName): void {
    this.#waiting.delete(server);
    this.#heard.delete(server);
    this.#elsewhere.delete(server);
  }

  /** @returns whether that is news of one that waits. */
  heard(server: ServerName): boolean {
    const notBeforeMs = this.#waiting.get(server);
    if (notBeforeMs === undefined || this.#heard.has(server)) return false;
    this.#heard.set(server, notBeforeMs);
    return true;
  }

  /** When the next of those that were heard of is to be tried. */
  get nextMs(): number {
    return Math.min(...this.#heard.values());
  }

  /** Those that were heard of and may be tried now: they wait no longer. */
  takeHeard(now: number): ServerName[] {
    const due = [...this.#heard].flatMap(([name, notBeforeMs]) =>
      notBeforeMs <= now ? [name] : [],
    );
    for (const name of due) this.takenOn(name);
    return due;
  }

  /** Brings it to what is known in the database of those that wait, whichever process they failed. */
  refresh(waiting: readonly ServerName[], now: number): void {
    this.#waiting = new Map(waiting.map((name) => [name, this.#waiting.get(name) ?? now]));
    for (const name of this.#heard.keys()) if (!this.#waiting.has(name)) this.#heard.delete(name);
    for (const [name, until] of this.#elsewhere) if (until <= now) this.#elsewhere.delete(name);
  }
}
