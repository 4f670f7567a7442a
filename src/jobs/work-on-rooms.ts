import { setTimeout as sleep } from "node:timers/promises";
import { YieldingTurns } from "#src/kit/yielding-turns.ts";

/** How many rooms are worked on at once, and how many more may be that take long. */
const TURNS = { atOnce: 5, slowMs: 10_000, mostSlow: 50 };

/** How soon it is looked for others while some are worked on, and up to how many are taken in hand. */
const LOOK_MS = 1_000;
const MOST_IN_HAND = 500;
const MOST_NEW = 50;

export type RoomWork = {
  /** Rooms that are due, by their keys, the first so many. Those that are worked on may be among them. */
  readonly due: (most: number) => Promise<readonly number[]>;
  readonly work: (roomKey: number) => Promise<void>;
  readonly turns?: YieldingTurns;
};

/**
 * Works on rooms until none is due any more. Whoever is asked what a room lacks may take their time: a room that takes long
 * goes on beside the others and holds up none.
 *
 * @throws what the work on a room has failed with, once nothing is under way.
 */
export async function workOnRooms(
  signal: AbortSignal,
  { due, work, turns = new YieldingTurns(TURNS) }: RoomWork,
): Promise<void> {
  const inHand = new Map<number, Promise<unknown>>();
  const take = (roomKey: number) => {
    const working = turns.take(async () => {
      if (!signal.aborted) await work(roomKey);
    });
    inHand.set(
      roomKey,
      working.finally(() => inHand.delete(roomKey)),
    );
  };
  try {
    while (!signal.aborted) {
      const most = Math.min(MOST_IN_HAND, inHand.size + MOST_NEW);
      const keys = most > inHand.size ? await due(most) : [];
      for (const key of keys.filter((it) => !inHand.has(it))) take(key);
      if (inHand.size === 0) return;
      const look = sleep(LOOK_MS, undefined, { signal }).catch(() => {});
      await Promise.race([...inHand.values(), look]);
    }
  } finally {
    await Promise.allSettled(inHand.values());
  }
}
