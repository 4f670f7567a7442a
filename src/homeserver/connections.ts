import { isDatabaseAway, isDatabaseFull } from "./connection-errors.ts";
import type { Sql } from "./sql.ts";

/** What the driver makes of a template. When it is waited for, it has itself handed to `handler`, which sends it. */
export type Statement = {
  handler: (statement: Statement) => void;
  resolve: (rows: unknown) => void;
  reject: (error: unknown) => void;
};

/** How long a statement waits for one of the connections that there are, before another is made. */
const PATIENCE_MS = 2;

/** For how long no more are made when the database has refused one since there are too many. */
const FULL_MS = 1_000;

/** A connection that nobody has needed for so long is closed. */
const KEEP_MS = 30_000;

/** For how long what has been sent on a connection may go on when that is given up. */
const LAST_SECONDS = 5;

/** A driver that makes one connection, and anew if that was lost. */
type Connection = {
  readonly sql: Sql;
  readonly send: (statement: Statement) => void;
  /** How many statements and transactions it has to answer. */
  running: number;
  isInTransaction: boolean;
  /** Whether anything has ever been done on it. */
  isMade: boolean;
  /** Whether it was needed since that was looked at last. */
  isNeeded: boolean;
};

/** Whether something comes after all others that wait, or has waited before. */
type Turn = "first" | "last";

type Waiting = { go(connection: Connection): void; refuse(error: unknown): void };

/**
 * The connections of a pool. Whatever is asked goes on the first that is free: so there are as many as are needed at once,
 * and those know the statements and have the tables' pages at hand. The driver's own pool takes them in turns: each
 * PostgreSQL process of a server that has little to do takes the memory, and the time to prepare, of one that does all.
 *
 * When all are busy another is made, up to the most that there may be, for what has waited a moment: most
 * statements take less time than a connection takes to be made. Beyond that, statements follow those that run. Where the database lets
 * no more be made, what one was made for has one of the others, as soon as that is free.
 */
export class Connections {
  readonly #most: number;
  readonly #open: (onClose: () => void) => Sql;
  readonly #all: Connection[] = [];
  readonly #waiting: Waiting[] = [];
  #making: NodeJS.Timeout | undefined;
  #sparing: NodeJS.Timeout | undefined;
  /** Until when no more are made. */
  #fullUntil = 0;
  #isEnding = false;

  /** @param open makes a driver for one connection, and is told what to call when that closes. */
  constructor(most: number, open: (onClose: () => void) => Sql) {
    this.#most = most;
    this.#open = open;
  }

  /** Sends a statement. */
  readonly send = (statement: Statement): void => {
    const { resolve, reject } = statement;
    const restore = () => {
      statement.resolve = resolve;
      statement.reject = reject;
    };
    const end = (connection: Connection) => {
      restore();
      this.#free(connection);
    };
    const it: Waiting = {
      refuse: reject,
      go: (connection) => {
        statement.resolve = (rows) => {
          resolve(rows);
          connection.isMade = true;
          end(connection);
        };
        statement.reject = (error) => {
          if (this.#isOneTooMany(connection, error)) {
            restore();
            this.#use(it, "first");
            return;
          }
          reject(error);
          this.#heed(connection, error);
          end(connection);
        };
        connection.running += 1;
        connection.send(statement);
      },
    };
    this.#use(it);
  };

  /**
   * Does something on a connection on which nothing else is done meanwhile.
   *
   * @param work is to say when something has been done on it: until then it may have to begin anew on another.
   */
  async alone<T>(work: (sql: Sql, begun: () => void) => Promise<T>): Promise<T> {
    for (let turn: Turn = "last"; ; turn = "first") {
      const connection = await this.#take(turn);
      try {
        return await work(connection.sql, () => {
          connection.isMade = true;
        });
      } catch (error) {
        if (this.#isOneTooMany(connection, error)) continue;
        this.#heed(connection, error);
        throw error;
      } finally {
        connection.isInTransaction = false;
        this.#free(connection);
      }
    }
  }

  async #take(turn: Turn): Promise<Connection> {
    return await new Promise<Connection>((resolve, reject) => {
      const go = (free: Connection) => {
        free.running += 1;
        free.isInTransaction = true;
        resolve(free);
      };
      this.#use({ refuse: reject, go }, turn);
    });
  }

  /** Ends all when what was sent on them is done, or by force. */
  async end(options?: { timeout?: number }): Promise<void> {
    this.#isEnding = true;
    clearTimeout(this.#making);
    clearInterval(this.#sparing);
    for (const it of this.#waiting.splice(0)) it.refuse(ended());
    await Promise.all(this.#all.map(async ({ sql }) => await sql.end(options)));
  }

  #use(it: Waiting, turn: Turn = "last"): void {
    if (this.#isEnding) {
      it.refuse(ended());
      return;
    }
    if (turn === "first") this.#waiting.unshift(it);
    else this.#waiting.push(it);
    this.#serve();
  }

  /** Lets go whoever can, in the order in which they came. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const connection = this.#choose();
      if (!connection) break;
      connection.isNeeded = true;
      this.#waiting.shift()?.go(connection);
    }
    if (this.#waiting.length === 0 || this.#all.length >= this.#most) return;
    this.#making ??= setTimeout(
      () => {
        this.#making = undefined;
        // Who waits no longer than the others may have come just now: it is the first that gets it.
        if (this.#waiting.length > 0) this.#make();
        this.#serve();
      },
      Math.max(PATIENCE_MS, this.#fullUntil - performance.now()),
    );
  }

  #choose(): Connection | undefined {
    const free = this.#all.find((it) => it.running === 0);
    if (free) return free;
    if (this.#all.length === 0) return this.#make();
    if (this.#all.length < this.#most) return undefined;
    // What follows on one that cannot be made would be lost with it.
    const open = this.#all.filter((it) => !it.isInTransaction && it.isMade);
    return open.reduce<Connection | undefined>(
      (least, it) => (least && least.running <= it.running ? least : it),
      undefined,
    );
  }

  #make(): Connection {
    const sql: Sql = this.#open(() => this.#lose(made));
    const made: Connection = {
      sql,
      send: (sql`` as unknown as Statement).handler,
      running: 0,
      isInTransaction: false,
      isMade: false,
      isNeeded: true,
    };
    this.#all.push(made);
    if (this.#all.length > 1) this.#sparing ??= setInterval(() => this.#spare(), KEEP_MS).unref();
    return made;
  }

  /** When something on a connection is over. */
  #free(connection: Connection): void {
    connection.running -= 1;
    if (!this.#isEnding) this.#serve();
  }

  /** Whether a connection could not be made since there are enough, of which others are ours: then these have to do. */
  #isOneTooMany(connection: Connection, error: unknown): boolean {
    if (connection.isMade || !isDatabaseFull(error) || this.#all.every((it) => it === connection)) {
      return false;
    }
    this.#fullUntil = performance.now() + FULL_MS;
    this.#remove(connection);
    return true;
  }

  #heed(connection: Connection, error: unknown): void {
    if (!isDatabaseAway(error)) return;
    this.#lose(connection);
    // The database cannot be reached: others would find that out one after the other.
    if (connection.isMade) return;
    for (const it of this.#waiting.splice(0)) it.refuse(error);
  }

  /** A connection that was lost is not used again: see `resilientSql`. */
  #lose(connection: Connection): void {
    if (this.#isEnding || !this.#remove(connection)) return;
    this.#serve();
  }

  /** Closes what nobody has needed for a while; one is kept. */
  #spare(): void {
    for (const connection of this.#all.slice(1)) {
      if (!connection.isNeeded && connection.running === 0) this.#remove(connection);
      connection.isNeeded = false;
    }
    if (this.#all.length > 1) return;
    clearInterval(this.#sparing);
    this.#sparing = undefined;
  }

  /** @returns whether it was there. */
  #remove(connection: Connection): boolean {
    const index = this.#all.indexOf(connection);
    if (index === -1) return false;
    this.#all.splice(index, 1);
    connection.sql.end({ timeout: LAST_SECONDS }).catch(() => {});
    return true;
  }
}

/** As the driver says it of a pool that has been ended. */
function ended(): Error {
  return Object.assign(new Error("The pool has been ended"), { code: "CONNECTION_ENDED" });
}
