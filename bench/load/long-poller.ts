import type { Seen } from "./delivery.ts";
import { HttpConnection, type HttpTarget } from "./http-connection.ts";
import { type Account, sync } from "./matrix-client.ts";
import { marksIn } from "./payloads.ts";

/** A client that is online: it always has a `/sync` open. */
export type LongPoller = {
  readonly seen: Seen;
  readonly connection: HttpConnection;
  /** Settles when it has seen so many events, and fails when the poller does. */
  untilSeen(count: number): Promise<void>;
  stop(): Promise<void>;
};

/** Where a client stands that has done its first sync. */
export type Synced = { readonly account: Account; readonly filter: string; readonly since: string };

const POLL_MS = 30_000;

/**
 * Goes on from a first sync, over a connection of its own.
 *
 * @param onEvents told when marked events have come, in the order in which they stand in the answer
 */
export function startLongPoller(
  target: HttpTarget,
  { account, filter, since }: Synced,
  onEvents?: (marks: readonly number[], atMs: number) => void,
): LongPoller {
  const connection = new HttpConnection(target);
  const marks: number[] = [];
  const waiting: { readonly count: number; settle(): void; reject(cause: unknown): void }[] = [];
  let failure: { readonly cause: unknown } | undefined;
  let stopping = false;

  const wake = () => {
    for (const [index, one] of [...waiting.entries()].toReversed()) {
      if (failure !== undefined) one.reject(failure.cause);
      else if (marks.length < one.count) continue;
      else one.settle();
      waiting.splice(index, 1);
    }
  };
  const loop = (async () => {
    let from = since;
    try {
      while (!stopping) {
        const answer = await sync(connection, account, { filter, since: from, timeoutMs: POLL_MS });
        from = answer.nextBatch;
        const came = marksIn(answer.body.toString("latin1"));
        if (came.length === 0) continue;
        marks.push(...came);
        onEvents?.(came, performance.now());
        wake();
      }
    } catch (cause) {
      if (stopping) return;
      failure = { cause };
      wake();
    }
  })();

  return {
    seen: { who: account.userId, marks },
    connection,
    untilSeen: async (count) =>
      await new Promise((settle, reject) => {
        waiting.push({ count, settle, reject });
        wake();
      }),
    async stop() {
      stopping = true;
      connection.close();
      await loop;
    },
  };
}
