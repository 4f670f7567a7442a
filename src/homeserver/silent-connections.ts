import type { Socket } from "node:net";
import { within } from "#src/kit/within.ts";
import { isConnectionError, noAnswer } from "./connection-errors.ts";

/** How long a database that says nothing is waited for. */
export type Patience = {
  /** How long a connection may take to be made; shorter than `silentMs`, so that this is over by then. */
  readonly connectSeconds: number;
  /** How long nothing may come on one after a statement has gone out, before it is asked whether that runs. */
  readonly silentMs: number;
  /** How long that may take. */
  readonly askMs: number;
  readonly lookMs: number;
};

/** Whoever waits has an answer within half a minute. */
export const PATIENCE: Patience = {
  connectSeconds: 10,
  silentMs: 12_000,
  askMs: 10_000,
  lookMs: 1_000,
};

type Watched = {
  readonly read: number;
  readonly written: number;
  readonly silentMs: number;
  readonly isWaitedFor: (() => boolean) | undefined;
};

/**
 * Ends connections that lead nowhere: after a database's machine has died, or behind a gateway that has forgotten them, the
 * system takes them for alive for a quarter of an hour.
 *
 * A statement may take long, or wait for others. So it is asked on a new connection how many of these run: if all that
 * are waited for do, they are left alone.
 *
 * @param running how many statements run that were sent on the connections. Throws if the database cannot be reached.
 */
export class SilentConnections {
  readonly #watched = new Map<Socket, Watched>();
  readonly #patience: Patience;
  readonly #running: () => Promise<number>;
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;

  constructor(running: () => Promise<number>, patience: Patience) {
    this.#running = running;
    this.#patience = patience;
  }

  /**
   * Has an eye on a connection from now on.
   *
   * @param isWaitedFor whether an answer is waited for. Where that is not known, it is for what goes out after the last has come: of
   *   what goes out shortly before only the next tells, and there is always one, of some job.
   */
  watch(socket: Socket, isWaitedFor?: () => boolean): Socket {
    this.#watched.set(socket, { read: 0, written: 0, silentMs: 0, isWaitedFor });
    this.#timer ??= setInterval(() => void this.#look(), this.#patience.lookMs).unref();
    return socket;
  }

  /** Never throws. */
  async #look(): Promise<void> {
    for (const [socket, it] of this.#watched) this.#lookAt(socket, it);
    if (this.#watched.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    const silent = [...this.#watched].filter(([, it]) => it.silentMs >= this.#patience.silentMs);
    if (silent.length === 0 || this.#isAsking) return;
    this.#isAsking = true;
    const isSlow = await this.#doRun(silent.length).finally(() => {
      this.#isAsking = false;
    });
    for (const [socket, it] of silent) {
      if (socket.bytesRead !== it.read) continue;
      if (isSlow) this.#watched.set(socket, { ...it, silentMs: 1 });
      else socket.destroy();
    }
  }

  #lookAt(socket: Socket, { read, written, silentMs, isWaitedFor }: Watched): void {
    // The driver takes listeners away when it encrypts: so it is looked, and not heard.
    if (socket.destroyed) {
      this.#watched.delete(socket);
      return;
    }
    const { bytesRead, bytesWritten } = socket;
    const isWaiting = isWaitedFor?.() ?? (silentMs > 0 || bytesWritten > written);
    this.#watched.set(socket, {
      read: bytesRead,
      written: bytesWritten,
      silentMs: isWaiting && bytesRead === read ? silentMs + this.#patience.lookMs : 0,
      isWaitedFor,
    });
  }

  async #doRun(count: number): Promise<boolean> {
    try {
      return (await within(this.#patience.askMs, this.#running(), noAnswer)) >= count;
    } catch (error) {
      // It has said something, be it that it takes no more connections.
      return !isConnectionError(error);
    }
  }
}
