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
  /** Set while all that waits can wait. */
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
  if (!queue.busy) {
    if (stream.patienceMs === undefined) void pump(hs, queue);
    else queue.later ??= setTimeout(() => void pump(hs, queue), stream.patienceMs);
  }
  return await written;
}

async function pump(hs: Homeserver, queue: Queue): Promise<void> {
  queue.busy = true;
  clearTimeout(queue.later);
  queue.later = undefined;
  // What is asked for in this same turn of the loop goes into the first group already.
  await Promise.resolve();
  while (queue.pending.length > 0) {
    await commitGroup(hs, queue.pending.splice(0, MOST_WRITES));
  }
  queue.busy = false;
}
