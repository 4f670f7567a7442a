import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import { checkAuthRules } from "#src/events/auth-rules/check.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Job } from "#src/jobs/job.ts";
import type { Change } from "#src/streams/stream.ts";
import { tailOf } from "#src/streams/tail.ts";
import { write } from "#src/streams/write.ts";
import { currentStateRoot, statesAt } from "../current-state.ts";
import { EVENTS, MemberMoved, ServersMoved } from "../event-changes.ts";
import { eventsOf } from "../find-event.ts";
import { roomsByKeys } from "../find-room.ts";
import { pairKey, type StatePair } from "../state-slots.ts";
import { StoredEvent } from "../stored-event.ts";
import { forgetOver, heldBack, notYetOwed } from "./queries-sticky.ts";
import { stickyRooms } from "./sticky-events.ts";
import { stickyStream } from "./sticky-stream.ts";

/** How many events servers are sent at once that have come to a room. */
const MOST_OWED = 100;

/** Of how many clients are told at once that were not told of before. */
const MOST_TOLD = 1_000;

/**
 * Does for sticky events what has to be done when members of their rooms change, as soon as this process hears of that.
 * Several may do the same at once: what one has done the others find done.
 */
export function followSticky(hs: Homeserver): void {
  tailOf(hs).listen({
    changed(changes) {
      const roomKeys = new Set(
        changes.flatMap((it) => (movesMembers(it) ? [it.roomKey ?? 0] : [])),
      );
      if (roomKeys.size > 0) void heed(hs, roomKeys);
    },
    missed() {},
  });
}

function movesMembers({ stream, detail }: Change): boolean {
  if (stream !== EVENTS) return false;
  if (detail instanceof StoredEvent) return detail.type === "m.room.member";
  return detail instanceof MemberMoved || detail instanceof ServersMoved;
}

/** Never throws: the job comes back to it. */
async function heed(hs: Homeserver, roomKeys: ReadonlySet<number>): Promise<void> {
  try {
    const sticky = await stickyRooms(hs);
    for (const roomKey of roomKeys) if (sticky.has(roomKey)) await keepSticky(hs, roomKey);
  } catch (error) {
    if (!hs.stopping.aborted) hs.log.warn({ err: error }, "cannot see to sticky events");
  }
}

/** Sees to it that all are told who are to be told, in one room or in all. */
async function keepSticky(hs: Homeserver, roomKey: number | null): Promise<void> {
  await checkAgain(hs, roomKey);
  for (;;) {
    const owed = await notYetOwed(hs.sql, roomKey, { nowMs: hs.now(), limit: MOST_OWED });
    if (owed.length === 0 || hs.stopping.aborted) return;
    await write(hs, stickyStream, { owed });
  }
}

/**
 * Asks of those of which clients are not told whether the room's current state lets their senders say them now. Those that were
 * soft-failed do not come to be part of the timeline by that.
 *
 * @spec server-server-api#soft-failure
 */
async function checkAgain(hs: Homeserver, roomKey: number | null): Promise<void> {
  const held = await heldBack(hs.sql, roomKey, { nowMs: hs.now(), limit: MOST_TOLD });
  for (const [key, its] of Map.groupBy(held, (it) => it.roomKey)) {
    const rules = (await roomsByKeys(hs, [key])).get(key)?.rules;
    if (!rules) continue;
    const root = await currentStateRoot(hs, key);
    const events = await eventsOf(
      hs,
      its.map((it) => it.eventKey),
    );
    const pdus = [...events].map(([eventKey, event]) => ({ eventKey, pdu: event.pdu(rules) }));
    // The create event is asked for also where events do not cite it.
    const pairs: StatePair[] = [["m.room.create", ""]];
    for (const { pdu } of pdus) pairs.push(...authEventKeys(pdu, rules));
    const state = await statesAt(hs, root, pairs);
    const lookup = (type: string, stateKey: string) =>
      state.get(pairKey(type, stateKey))?.pdu(rules);
    const told = pdus.filter(({ pdu }) => checkAuthRules(pdu, lookup, rules).allowed);
    if (told.length === 0) continue;
    await write(hs, stickyStream, { roomKey: key, told: told.map((it) => it.eventKey) });
  }
}

/** Sees to what no process was there to see to, and forgets those whose time is over. */
export const keepStickyJob: Job = {
  name: "keep-sticky",
  everyMs: 60_000,
  async run(hs) {
    await forgetOver(hs.sql, hs.now());
    await keepSticky(hs, null);
    return "done";
  },
};
