import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (how: {
  readonly type: "major" | "minor";
  readonly execution: "sync";
  readonly flavor: "regular" | "last-resort";
}) => void;

let collect: Collect | undefined;

/** Collects all that is of no use any more, and gives it back to the system. Stops the process for some 50 ms. */
export function collectAll(): void {
  collect ??= collector();
  collect({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** How many bytes of buffers may come and go until those that are of no use are looked for. */
const BUFFERS_BYTES = 16 * 1024 * 1024;

let bytesSince = 0;

/**
 * Notes that a buffer is made that soon will be of no use, one of many through which a file goes.
 *
 * The young generation, where buffers die, is collected when objects have filled it, and a file makes few. V8 only sees
 * 32 MB of buffers come (64 MB before Node 26), and looks through everything that the process has. That is half of what a
 * file costs, where to look among the young takes a millisecond.
 */
export function noteBuffer(bytes: number): void {
  bytesSince += bytes;
  if (bytesSince < BUFFERS_BYTES) return;
  bytesSince = 0;
  collect ??= collector();
  collect({ type: "minor", execution: "sync", flavor: "regular" });
}

function collector(): Collect {
  setFlagsFromString("--expose-gc");
  // The flag is heeded by contexts that are made after it.
  const found = runInNewContext("gc") as Collect;
  setFlagsFromString("--no-expose-gc");
  return found;
}
