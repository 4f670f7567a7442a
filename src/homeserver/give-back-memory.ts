import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const LOOK_EVERY_MS = 5_000;

/** A process that has used less than this of its time is at rest. */
const REST = 0.01;

/**
 * Gives back to the system what work has left behind: now, and whenever the process has come to rest after it. V8 by itself
 * would keep it until there is more to collect: after the start, when the texts of all files and the schemas in the making
 * are of no more use, that is a quarter of what a process has.
 *
 * It stops the process for some 50 ms, when nobody has asked for anything for seconds.
 */
export function giveBackMemoryAtRest(): void {
  const collect = garbageCollector();
  collect();
  let before = process.cpuUsage();
  let hasWorked = false;
  const look = () => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    const isAtRest = user + system < REST * LOOK_EVERY_MS * 1_000;
    if (isAtRest && hasWorked) {
      collect();
      // That was work as well.
      before = process.cpuUsage();
    }
    hasWorked = !isAtRest;
  };
  setInterval(look, LOOK_EVERY_MS).unref();
}

type Gc = (how: { type: "major"; execution: "sync"; flavor: "last-resort" }) => void;

function garbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  // The flag is heeded by contexts that are made after it.
  const gc = runInNewContext("gc") as Gc;
  setFlagsFromString("--no-expose-gc");
  return () => gc({ type: "major", execution: "sync", flavor: "last-resort" });
}
