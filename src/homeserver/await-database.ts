import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { isConnectionError, isDatabaseAway } from "./connection-errors.ts";
import { connect, type Sql } from "./database.ts";

/** How long a database may take to start, or to recover from a crash, when we start before it has. */
const PATIENCE_MS = 30_000;
const RETRY_MS = 200;

export type AwaitOptions = {
  readonly log: Logger;
  /** Ends the wait. */
  readonly signal: AbortSignal;
  readonly patienceMs?: number;
};

/**
 * Waits until a database takes connections. One that starts at the same time as we, or that was killed and replays its
 * log, refuses them at first; so does one that has not noticed yet that those are gone who had all that it allows.
 *
 * @throws the database's last refusal, when the time is up; at once if it is not one that time can mend, such
 *   as a wrong password. What `signal` was aborted with.
 */
export async function awaitDatabase(
  url: string,
  { log, signal, patienceMs = PATIENCE_MS }: AwaitOptions,
): Promise<void> {
  const sql = connect(url, 1);
  try {
    for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
      const refusal = await refusalOf(sql);
      if (refusal === undefined) return;
      if (waitedMs >= patienceMs) throw refusal;
      if (waitedMs === 0) log.warn({ err: refusal }, "the database does not answer yet: waiting");
      await sleep(RETRY_MS);
      signal.throwIfAborted();
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** Why a database does not answer now. @throws what time cannot mend */
async function refusalOf(sql: Sql): Promise<unknown> {
  try {
    await sql`select 1`;
    return undefined;
  } catch (error) {
    if (!isConnectionError(error) && !isDatabaseAway(error)) throw error;
    return error;
  }
}
