import { getHeapStatistics } from "node:v8";
import { WeightedTurns } from "#src/kit/weighted-turns.ts";
import type { AnswerMemory } from "./ask-options.ts";
import { held } from "./held.ts";
import type { Homeserver } from "./homeserver.ts";

/** Answers of fewer bytes go on however many there are. */
const LEAST_WEIGHED_BYTES = 1024 * 1024;

/**
 * How many bytes of answers are worked on at once: taken apart and judged, each takes three or four times as much, and
 * half of the memory is for the rest.
 */
export const MOST_WORKED_ON_BYTES = Math.floor(getHeapStatistics().heap_size_limit / 8);

/** How many bytes may wait for that, and how long. They are not taken apart yet. */
const MOST_WAITING_BYTES = 512 * 1024 * 1024;
const LONGEST_WAIT_MS = 60_000;

export const answerTurnsOf = held(
  () => new WeightedTurns(MOST_WORKED_ON_BYTES, MOST_WAITING_BYTES),
);

/**
 * Asks other servers for what may be large, and makes of it what it is for.
 *
 * @param work asks at most for one such answer: whoever has memory waits for no more.
 */
export async function withAnswerMemory<T>(
  hs: Homeserver,
  work: (memory: AnswerMemory) => Promise<T>,
): Promise<T> {
  const memory = memoryFor(hs);
  try {
    return await work(memory);
  } finally {
    memory.release();
  }
}

function memoryFor(hs: Homeserver): AnswerMemory {
  const turns = answerTurnsOf(hs);
  let [taken, asked] = [0, 0];
  return {
    async take(bytes, signal) {
      asked = bytes;
      if (bytes < LEAST_WEIGHED_BYTES) return true;
      const until = AbortSignal.any([
        hs.stopping,
        AbortSignal.timeout(LONGEST_WAIT_MS),
        ...(signal ? [signal] : []),
      ]);
      const isThere = await turns.take(bytes, until);
      if (isThere) taken += bytes;
      return isThere;
    },
    answerBytes: () => asked,
    release() {
      if (taken > 0) turns.give(taken);
      taken = 0;
    },
  };
}
