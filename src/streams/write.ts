import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { commitGroup } from "./commit-group.ts";
import { cutNear, type Pending } from "./group.ts";
import type { Stream } from "./stream.ts";

/** At most this many writes go into one transaction, so that none waits long for the others; more only if they belong together. */
const MOST_WRITES = 256;

type Queue = {
  pending: Pending[];
  busy: boolean;
  /** Set while writes are asked for that belong together. */
  unit: object | undefined;
  /** Set while what can wait need not be written yet. */
  later: NodeJS.Timeout | undefined;
};

const queueOf = held((): Queue => ({
  pending: [],
  busy: false,
  unit: undefined,
  later: undefined,
}));

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
      unit: queue.unit,
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

/**
 * Has writes committed in one transaction: if the database refuses one of them, none is stored. One that a stream
 * refuses is left out.
 *
 * @param ask asks for them all, before it first waits for anything.
 * @throws as `write`.
 */
export async function writeTogether<T>(hs: Homeserver, ask: () => Promise<T>): Promise<T> {
  const queue = queueOf(hs);
  queue.unit = {};
  let asked: Promise<T>;
  try {
    asked = ask();
  } finally {
    queue.unit = undefined;
  }
  return await asked;
}

async function pump(hs: Homeserver, queue: Queue): Promise<void> {
  queue.busy = true;
  // What is asked for in this same turn of the loop goes into the first group already.
  await Promise.resolve();
  while (isDue(queue)) {
    clearTimeout(queue.later);
    queue.later = undefined;
    await commitGroup(hs, queue.pending.splice(0, cutNear(queue.pending, MOST_WRITES)));
  }
  queue.busy = false;
}

/** Whether something is to be written now: what cannot wait, or what has waited for as long as it can. */
function isDue({ pending, later }: Queue): boolean {
  if (later === undefined) return pending.length > 0;
  return pending.some(({ stream }) => stream.patienceMs === undefined);
}
