import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { type Bell, newBell } from "#src/kit/bell.ts";

/** When this process has to look for events that are due. */
class Alarm {
  #atMs: UnixMs | undefined;
  readonly #bell: Bell = newBell();
  readonly ring = this.#bell.ring;

  /** Goes off at a time, or before. */
  set(atMs: UnixMs): void {
    if (this.#atMs !== undefined && this.#atMs <= atMs) return;
    this.#atMs = atMs;
    this.#bell.ring();
  }

  /** Waits until it goes off, the homeserver stops, or so much time is over; then it is not set any more. */
  async wait(
    { now, stopping }: Pick<Homeserver, "now" | "stopping">,
    mostMs: number,
  ): Promise<void> {
    const endMs = now() + mostMs;
    while (!stopping.aborted) {
      const waitMs = Math.min(this.#atMs ?? endMs, endMs) - now();
      if (waitMs <= 0) break;
      await this.#bell.rung(waitMs);
    }
    this.#atMs = undefined;
  }
}

export const alarmOf = held(() => new Alarm());
