import type { Socket } from "node:net";
import { isConnectionError, isReadOnly, lostConnection } from "./connection-errors.ts";
import { isTemplate } from "./one-statement.ts";
import { refusedStatement } from "./resilient-sql.ts";
import type { Sql, Tx } from "./sql.ts";

/** One connection for transactions that follow each other and whose statements do not wait for each other. */
export type Lane = {
  /**
   * Does something in a transaction. Statements go out when they are made, in that order; what is not waited for is
   * waited for in the end, together with the commit. So a transaction takes as many round trips as
   * its work has to wait, and one more.
   *
   * @throws the first error of its statements, or of the work; then nothing is stored. After the loss
   *   of the connection nobody knows.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Does something by one statement, which is a transaction of its own. @throws as a transaction does. */
  statement<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  end(): Promise<void>;
};

/** How many bytes may wait in a socket before the driver holds back statements: more than any transaction has. */
const SOCKET_BUFFER_BYTES = 256 * 1024 * 1024;

/** Makes a connection. */
export type Dial = (how?: {
  readonly bufferBytes: number;
  /** Whether an answer is waited for. */
  readonly isWaitedFor: () => boolean;
}) => Socket;

/** How a lane's pool is to be. */
export type LaneOptions = {
  readonly max: 1;
  readonly onclose: () => void;
  /** Makes the one connection that there may be. */
  readonly dialBy: (dial: Dial) => Socket;
};

/** Opens a lane. Connects when it is first used, and anew when its connection was lost. */
export function openLane(open: (options: LaneOptions) => Sql): Lane {
  let isEnding = false;
  let current: Connection | undefined;

  function connected(): Connection {
    if (current) return current;
    const loss = new Loss();
    const giveUp = () => {
      if (current === own) current = undefined;
      loss.happen();
      if (!isEnding) own.sql.end({ timeout: 0 }).catch(() => {});
    };
    const unanswered = new Set<Promise<unknown>>();
    const sql = open({ max: 1, onclose: giveUp, dialBy: oneConnection(unanswered, giveUp) });
    const own: Connection = { sql, loss, unanswered, giveUp };
    current = own;
    return own;
  }

  return {
    transaction: async (work) => await transaction(connected(), work),
    async statement(work) {
      const connection = connected();
      const answer = work(connection.sql);
      note(connection, answer);
      try {
        return await connection.loss.before(answer);
      } catch (error) {
        if (isReadOnly(error)) connection.giveUp();
        throw error;
      }
    },
    async end() {
      isEnding = true;
      await current?.sql.end({ timeout: 5 });
    },
  };
}

type Connection = {
  readonly sql: Sql;
  readonly loss: Loss;
  /** What has been asked on it, and not been answered. */
  readonly unanswered: Set<Promise<unknown>>;
  /** Takes it for lost: the next that is asked goes on another. */
  giveUp(): void;
};

/**
 * The loss of a connection. Whoever waits for a statement waits for this as well: the driver leaves some that it had not
 * sent yet without an answer.
 *
 * It is no promise for all of them to race with: that would keep something of each race for as long as the connection is there.
 */
class Loss {
  readonly #waiting = new Set<(cause: Error) => void>();
  #cause: Error | undefined;

  happen(): void {
    this.#cause ??= lostConnection();
    for (const fail of this.#waiting) fail(this.#cause);
    this.#waiting.clear();
  }

  /** What comes of something. @throws as it does, or lostConnection if the connection is lost before. */
  async before<T>(something: Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    something.then(resolve, reject);
    if (this.#cause) reject(this.#cause);
    else this.#waiting.add(reject);
    try {
      return await promise;
    } finally {
      this.#waiting.delete(reject);
    }
  }
}

/** Notes that something has been asked. That it fails is heeded elsewhere. */
function note({ unanswered }: Connection, answer: Promise<unknown>): void {
  unanswered.add(answer);
  const answered = () => void unanswered.delete(answer);
  answer.then(answered, answered);
}

/** What the driver makes of a template: a promise that begins to be kept when it is told to, or waited for. */
type Statement = Promise<unknown> & { execute(): unknown };

async function transaction<T>(connection: Connection, work: (tx: Tx) => Promise<T>): Promise<T> {
  const { sql, loss } = connection;
  const sent: Promise<unknown>[] = [];
  let isOver = false;
  const send = (query: Statement) => {
    query.execute();
    // Heeded in the end. Until then nobody else may be waiting for it.
    note(connection, query);
    sent.push(query);
  };
  const tx = new Proxy(sql, {
    apply(target, _this, args: Parameters<Sql>) {
      // One part of the work may go on where another has failed: it would be stored by itself, or by who comes next.
      if (isOver) return refusedStatement("The transaction is over");
      const made = target(...args) as unknown;
      if (isTemplate(args[0])) send(made as Statement);
      return made;
    },
  }) as unknown as Tx;

  try {
    send(sql.unsafe("begin"));
    const result = await loss.before(work(tx));
    isOver = true;
    send(sql.unsafe("commit"));
    await loss.before(Promise.all(sent));
    return result;
  } catch (error) {
    isOver = true;
    const ends = await loss.before(Promise.allSettled(sent));
    const first = ends.find((it) => it.status === "rejected");
    // Only its own statements say whether this connection is lost: the work may have failed by the loss of another.
    const isLost = first !== undefined && isConnectionError(first.reason);
    // A commit that went out after a statement that failed has rolled back already.
    if (!isLost) {
      const undone = sql.unsafe("rollback");
      note(connection, undone);
      await loss.before(undone);
    }
    if (isReadOnly(first?.reason)) connection.giveUp();
    throw first?.reason ?? error;
  }
}

/**
 * Makes the one connection that a driver's pool may have. The driver would make another when it is lost, and send
 * on it what was waiting: statements of a transaction, outside of it.
 */
function oneConnection(
  unanswered: ReadonlySet<unknown>,
  giveUp: () => void,
): LaneOptions["dialBy"] {
  let used = false;
  return (dial) => {
    if (used) {
      // The driver would leave the pool as it is, for ever connecting.
      giveUp();
      throw lostConnection();
    }
    used = true;
    return dial({ bufferBytes: SOCKET_BUFFER_BYTES, isWaitedFor: () => unanswered.size > 0 });
  };
}
