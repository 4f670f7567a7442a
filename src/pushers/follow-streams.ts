import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import type { Follower } from "#src/streams/follower.ts";
import { arePushers, markOwed } from "./queries-pushers.ts";

/** The most positions that are looked at in one transaction. */
const MOST_POSITIONS = 20_000;

/**
 * Marks pushers as owed what happened, for whoever pushes: so nothing is lost by a process that dies, and who
 * sends does nothing for it.
 */
export const followPushed: Follower = {
  name: "pushers",
  streams: [EVENTS, RECEIPTS],
  begins: "now",
  pauseMs: 250,
  async handle(_hs, tx, after, upTo) {
    if (!(await arePushers(tx))) return upTo;
    const reached = Math.min(upTo, after + MOST_POSITIONS);
    await markOwed(tx, after, reached);
    return reached;
  },
};
