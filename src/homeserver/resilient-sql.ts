import { setTimeout as sleep } from "node:timers/promises";
import { isConnectionError } from "./connection-errors.ts";
import { Connections } from "./connections.ts";
import { isTemplate } from "./one-statement.ts";
import type { Sql, Tx } from "./sql.ts";

/** How long we wait for the driver to notice that a connection is gone, after a statement has told us. */
const NOTICE_MS = 1_000;

/**
 * A pool that outlives its connections.
 *
 * The driver (postgres 3.4) does not: once a connection has been lost it may write to one that is not
 * there, which ends the process (its issues 1154 and 1208), or begin the next with what the last was about
 * to send. So each connection is a driver of its own, which is given up with it for a new one, and within a transaction
 * nothing is sent on a connection that is lost.
 *
 * @param most how many connections there may be.
 * @param open makes a driver for one connection, and is told what to call when that closes.
 */
export function resilientSql(most: number, open: (onClose: () => void) => Sql): Sql {
  const connections = new Connections(most, open);
  // Makes statements of templates, and never connects, other than to listen.
  const maker = open(() => {});
  const toSend = <T>(made: T): T =>
    Object.assign(made as T & object, { handler: connections.send });
  const own = {
    begin: async (...args: readonly unknown[]) => {
      const work = args.at(-1) as (tx: Tx) => Promise<unknown>;
      const options = typeof args[0] === "string" ? args[0] : "";
      return await connections.alone(
        async (sql, begun) => await transaction(sql, { options, begun }, work),
      );
    },
    unsafe: (...args: Parameters<Sql["unsafe"]>) => toSend(maker.unsafe(...args)),
    end: async (options?: { timeout?: number }) => {
      await Promise.all([connections.end(options), maker.end(options)]);
    },
  };
  return new Proxy(function sql() {} as unknown as Sql, {
    apply(_target, _this, args: Parameters<Sql>) {
      const made = maker(...args) as unknown;
      return isTemplate(args[0]) ? toSend(made) : made;
    },
    get: (_target, name) =>
      Object.hasOwn(own, name)
        ? own[name as keyof typeof own]
        : (maker as unknown as Record<PropertyKey, unknown>)[name],
  });
}

/** Does something in a transaction. @param begun is told when that has begun. */
async function transaction<T>(
  pool: Sql,
  { options, begun }: { readonly options: string; readonly begun: () => void },
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  const connection = { isLost: false, isOver: false };
  let noticed: () => void = () => {};
  const loss = new Promise<void>((resolve) => {
    noticed = resolve;
  });
  try {
    return (await pool.begin(options, async (tx) => {
      begun();
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
