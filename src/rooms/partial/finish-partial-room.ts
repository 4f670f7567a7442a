import { once } from "node:events";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { type Room, roomsByKeys } from "../find-room.ts";
import { isResident } from "../residents.ts";
import { forgetHead } from "../room-head.ts";
import { completeRoom } from "./complete-room.ts";
import { fetchWholeState } from "./fetch-whole-state.ts";
import {
  abandonPartial,
  claimPartial,
  handBackPartial,
  type PartialRow,
  putOffPartial,
  renewPartial,
} from "./queries-partial.ts";

/** How often whoever fetches a room's members says that it is still about it. */
const RENEW_MS = 2_500;

/** The wait after nobody could tell the members, at first and in the end. */
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 10 * 60_000;

/** What of this has been begun and has not ended. */
const underWay = held(() => new Set<Promise<void>>());

/** Begins to fetch the members of a room that this server has just come to. What is not done when the process ends, the job does. */
export function finishSoon(hs: Homeserver, room: Room): void {
  const finishing = underWay(hs);
  const run = finishNow(hs, room).finally(() => finishing.delete(run));
  finishing.add(run);
}

/** @returns what resolves when the homeserver is stopping and has handed back what it had begun. */
export async function finishingEnds(hs: Homeserver): Promise<void> {
  if (!hs.stopping.aborted) await once(hs.stopping, "abort");
  await Promise.all(underWay(hs));
}

async function finishNow(hs: Homeserver, room: Room): Promise<void> {
  try {
    await finishPartialRoom(hs, room.roomKey, hs.stopping);
  } catch (error) {
    if (hs.stopping.aborted) return;
    hs.log.warn({ err: error, roomId: room.roomId }, "cannot fetch a room's members now");
  }
}

/**
 * Fetches the members of a room that we have come to without them, if that is due.
 *
 * @param until gives up: what has not been done is due again later.
 */
export async function finishPartialRoom(
  hs: Homeserver,
  roomKey: number,
  until: AbortSignal,
): Promise<void> {
  const row = await claimPartial(hs.sql, roomKey, hs.now());
  const room = row && (await roomsByKeys(hs, [roomKey])).get(roomKey);
  if (row && room) await finish(hs, room, row, until);
}

async function finish(
  hs: Homeserver,
  room: Room,
  row: PartialRow,
  until: AbortSignal,
): Promise<void> {
  const { roomKey, joinId } = row;
  if (!(await isResident(hs.sql, roomKey))) {
    // Whoever comes to the room again comes to it anew.
    await abandonPartial(hs.sql, roomKey, joinId);
    forgetHead(hs, roomKey);
    return;
  }
  const renewal = setInterval(() => {
    // Should it fail, somebody else may begin to do the same, which does no harm.
    renewPartial(hs.sql, roomKey, hs.now()).catch(() => {});
  }, RENEW_MS);
  try {
    const servers = serversFor(row);
    const state = await fetchWholeState(hs, room, { joinId, servers, until });
    if (!state) await giveUp("nobody tells the members of a room");
    else if (await completeRoom(hs, room, { joinId, state })) {
      hs.log.info({ roomId: room.roomId, events: state.length }, "all members of a room are known");
    } else await giveUp("a room moves too fast for its members to be taken in");
  } catch (error) {
    await giveUp("a room's members cannot be fetched now");
    throw error;
  } finally {
    clearInterval(renewal);
  }

  /** Whoever only has to end here leaves the room to others, or to this server when it is back, at once. */
  async function giveUp(why: string): Promise<void> {
    if (until.aborted) await handBackPartial(hs.sql, roomKey, hs.now());
    else await putOff(hs, room, row, why);
  }
}

/** The servers in the order in which they are asked: at first the one that let us in, later others. */
function serversFor({ servers, failures }: PartialRow): ServerName[] {
  const first = servers.length === 0 ? 0 : failures % servers.length;
  return [...servers.slice(first), ...servers.slice(0, first)];
}

async function putOff(
  hs: Homeserver,
  room: Room,
  { roomKey, failures }: PartialRow,
  why: string,
): Promise<void> {
  const waitMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(failures, 20), LAST_RETRY_MS);
  hs.log.warn({ roomId: room.roomId, failures, waitMs }, why);
  await putOffPartial(hs.sql, roomKey, hs.now() + waitMs);
}
