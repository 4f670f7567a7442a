import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { commitGroup } from "./commit-group.ts";
import type { Pending } from "./group.ts";
import type { Stream } from "./stream.ts";

/** At most this many writes go into one transaction, so that none waits long for the others. */
const MOST_WRITES = 256;

type Queue = {
  pending: Pending[];
  busy: boolean;
  /** Set while what can wait need not be written yet. */
  later: NodeJS.Timeout | undefined;
};

const queueOf = held((): Queue => ({ pending: [], busy: false, later: undefined }));

/**
 * Writes to a stream. Whatever else waits to be written, of any kind, is committed with it: a busy
 * process makes one transaction each time the previous one has returned, a lone write does not wait, unless its stream
 * has patience and nothing else is to be written.
 *
 * Returns when the write is durable, and visible to those who read after.
 *
 * @throws whatever the stream refuses the write with, and the database's errors. After the loss of
 *   the connection nobody knows whether the write is durable.
 */
export async function write<W, R>(hs: Homeserver, stream: Stream<W, R>, it: W): Promise<R> {
  const queue = queueOf(hs);
  const written = new Promise<R>((resolve, reject) => {
    queue.pending.push({
      stream: stream as Stream<unknown, unknown>,
      write: it,
      resolve: resolve as (result: unknown) => void,
      reject,
    });
  });
  if (stream.patienceMs !== undefined) {
    queue.later ??= setTimeout(() => {
      queue.later = undefined;
      if (!queue.busy) void pump(hs, queue);
    }, stream.patienceMs);
  } else if (!queue.busy) void pump(hs, queue);
  return await written;
}

async function pump(hs: Homeserver, queue: Queue): Promise<void> {
  queue.busy = true;
  // What is asked for in this same turn of the loop goes into the first group already.
  await Promise.resolve();
  while (isDue(queue)) {
    clearTimeout(queue.later);
    queue.later = undefined;
    await commitGroup(hs, queue.pending.splice(0, MOST_WRITES));
  }
  queue.busy = false;
}

/** Whether something is to be written now: what cannot wait, or what has waited for as long as it can. */
function isDue({ pending, later }: Queue): boolean {
  if (later === undefined) return pending.length > 0;
  return pending.some(({ stream }) => stream.patienceMs === undefined);
}
