import { setImmediate as nextTurn } from "node:timers/promises";
import type { Pause } from "#src/kit/steps.ts";

/** How long a computation may hold the event loop at a time. */
const SLICE_MS = 8;

/** Lets others run whenever a computation has held the event loop for some milliseconds. */
export function slices(): Pause {
  let began = performance.now();
  return () => {
    if (performance.now() - began < SLICE_MS) return undefined;
    return nextTurn().then(() => {
      began = performance.now();
    });
  };
}
