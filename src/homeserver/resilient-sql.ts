import { setTimeout as sleep } from "node:timers/promises";
import type { Sql, Tx } from "./sql.ts";

/** How long we wait for the driver to notice that a connection is gone, after a statement has told us. */
const NOTICE_MS = 1_000;

/** For how long statements that run on other connections may go on when a pool is given up. */
const LAST_SECONDS = 5;

/**
 * A pool that outlives its connections.
 *
 * The driver (postgres 3.4) does not: once a connection has been lost it may write to one that is not
 * there, which ends the process (its issues 1154 and 1208), or begin the next with what the last was about
 * to send. So a pool that has lost a connection is given up for a new one, and within a transaction
 * nothing is sent on a connection that is lost.
 *
 * @param open makes a pool, and is told what to call when a connection of it closes.
 */
export function resilientSql(open: (onClose: () => void) => Sql): Sql {
  let isEnding = false;
  let current = openOne();

  function openOne(): Sql {
    const pool: Sql = open(() => {
      if (isEnding || current !== pool) return;
      current = openOne();
      pool.end({ timeout: LAST_SECONDS }).catch(() => {});
    });
    return pool;
  }

  const own = {
    begin: async (...args: readonly unknown[]) => {
      const work = args.at(-1) as (tx: Tx) => Promise<unknown>;
      const options = typeof args[0] === "string" ? args[0] : "";
      return await transaction(current, options, work);
    },
    end: async (options?: { timeout?: number }) => {
      isEnding = true;
      await current.end(options);
    },
  };
  return new Proxy(function sql() {} as unknown as Sql, {
    apply: (_target, _this, args: Parameters<Sql>) => current(...args),
    get: (_target, name) =>
      Object.hasOwn(own, name)
        ? own[name as keyof typeof own]
        : (current as unknown as Record<PropertyKey, unknown>)[name],
  });
}

/** Does something in a transaction. */
async function transaction<T>(
  pool: Sql,
  options: string,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const connection = { isLost: false, isOver: false };
  let noticed: () => void = () => {};
  const loss = new Promise<void>((resolve) => {
    noticed = resolve;
  });
  try {
    return (await pool.begin(options, async (tx) => {
      try {
        return await work(unlessOver(tx as Tx, connection));
      } catch (error) {
        connection.isOver = true;
        if (!isConnectionError(error)) throw error;
        // The driver would send a rollback next. If the connection is lost it must not, and by then
        // the transaction is over for whoever waits for it.
        await Promise.race([loss, sleep(NOTICE_MS, undefined, { ref: false })]);
        if (connection.isLost) return await new Promise<never>(() => {});
        throw error;
      }
    })) as T;
  } catch (error) {
    connection.isLost = true;
    noticed();
    throw error;
  }
}

/**
 * A transaction on which nothing is sent once its connection is lost, nor once it has failed: one part of the work may
 * go on where another has failed, and would be stored by itself.
 */
function unlessOver(tx: Tx, it: { readonly isLost: boolean; readonly isOver: boolean }): Tx {
  return new Proxy(tx, {
    apply(target, _this, args: Parameters<Tx>) {
      if (it.isLost) return refusedStatement("The connection of this transaction is lost");
      if (it.isOver) return refusedStatement("The transaction is over");
      return target(...args);
    },
  });
}

/** Stands for a statement that is not sent. */
export function refusedStatement(why: string): Promise<never> {
  const refused = Promise.reject(new Error(why));
  refused.catch(() => {});
  return Object.assign(refused, { execute: () => refused });
}

/** The driver's codes for a connection that is gone, or could not be made. */
const DRIVER_CODES = /^CONNECT(ION)?_/;

/** PostgreSQL's codes for that it goes away, or is not there yet. */
const SERVER_CODES = /^(57P|08)...?$/;

/** What the system says of a connection, and Node of one that it has closed already. */
const NETWORK_CODES =
  /^(ECONN(RESET|REFUSED|ABORTED)|EPIPE|ETIMEDOUT|E(HOST|NET)(UNREACH|DOWN)|ENOTFOUND|EAI_AGAIN|ERR_STREAM_\w+)$/;

/** Whether an error is the connection's end, or that none could be made, and not the server's answer to a statement. */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const code = String(error.code);
  // Of a unix socket that is not there, or not ours, the system says what it says of files.
  const isConnect = "syscall" in error && error.syscall === "connect";
  return isConnect || [DRIVER_CODES, SERVER_CODES, NETWORK_CODES].some((it) => it.test(code));
}

/**
 * Whether the database could not be reached: it starts, stops, has no connection left, or the network is cut. What
 * was asked of it may have been done or not.
 */
export function isDatabaseAway(error: unknown): boolean {
  return (
    isConnectionError(error) ||
    (error instanceof Error && "code" in error && error.code === "53300")
  );
}

/** As the driver says it of a connection that has closed: nobody knows whether what was sent is durable. */
export function lostConnection(cause?: unknown): Error {
  return Object.assign(new Error("The connection to the database is lost", { cause }), {
    code: "CONNECTION_CLOSED",
  });
}

/** As the driver says it of a connection that cannot be made. */
export function noAnswer(): Error {
  return Object.assign(new Error("The database does not answer"), { code: "CONNECT_TIMEOUT" });
}

/** Whether the database has undone a transaction only because it and another waited for each other. */
export function isDeadlock(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "40P01";
}

/** Whether an error is the driver's own fault when a connection is lost: of a pool that has been given up by then. */
export function isDriversFault(error: unknown): boolean {
  return (
    error instanceof TypeError &&
    /node_modules[/\\]postgres[/\\]/.test(error.stack ?? "") &&
    (error.stack ?? "").includes("nextWrite")
  );
}
