import { DEVICE_LISTS } from "#src/devices/device-lists.ts";
import { TO_DEVICE } from "#src/devices/to-device-stream.ts";
import { RECEIPTS } from "#src/ephemeral/receipts-stream.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { STICKY_EVENTS } from "#src/rooms/sticky/sticky-stream.ts";
import type { Follower } from "#src/streams/follower.ts";
import { PROFILES } from "#src/users/profiles-stream.ts";
import { FOLLOWER } from "./follower-name.ts";
import { markOwed } from "./queries-owed.ts";

/** The most positions that are looked at in one transaction. */
const MOST_POSITIONS = 20_000;

/**
 * Marks destinations as owed what happened. Whoever has a destination sends to it at once, without waiting
 * for this; but no process can die, or overlook something, without what it leaves being found here.
 */
export const followOwed: Follower = {
  name: FOLLOWER,
  streams: [EVENTS, RECEIPTS, DEVICE_LISTS, TO_DEVICE, STICKY_EVENTS, PROFILES],
  begins: "at the beginning",
  pauseMs: 1_000,
  async handle(_hs, tx, after, upTo) {
    const reached = Math.min(upTo, after + MOST_POSITIONS);
    await markOwed(tx, after, reached);
    return reached;
  },
};
