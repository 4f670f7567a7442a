import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { onlyPredecessor, rawEventFrom, storedEvent, withEvent } from "../holes/state-after.ts";
import { stateFrom } from "../holes/state-from.ts";

/** How many servers are asked in one go. */
const MOST_SERVERS = 5;

/**
 * The state before a join as a server in the room has it, with all its members. Its events are stored. Of what
 * cannot be verified of one server's answer another may know better; what none can, is no part of the state.
 *
 * @param until gives up.
 * @returns the IDs of its events; undefined if nobody answers.
 */
export async function fetchWholeState(
  hs: Homeserver,
  room: Room,
  {
    joinId,
    servers,
    until,
  }: { joinId: EventId; servers: readonly ServerName[]; until: AbortSignal },
): Promise<readonly EventId[] | undefined> {
  let best: readonly EventId[] | undefined;
  for (const server of servers.slice(0, MOST_SERVERS)) {
    if (until.aborted) return undefined;
    const given = await stateBefore(hs, room, { joinId, server, until });
    if (!given) continue;
    const stored = await findEvents(hs, given);
    const known = given.filter((id) => stored.get(id)?.roomKey === room.roomKey);
    // Who knows nothing of the room says that nobody is there.
    if (!known.some((id) => stored.get(id)?.type === "m.room.create")) continue;
    if (known.length > (best?.length ?? 0)) best = known;
    if (known.length === given.length) return known;
    const lacking = given.length - known.length;
    hs.log.warn({ roomId: room.roomId, server, lacking }, "a state has events that cannot be had");
  }
  return best;
}

type Source = { readonly server: ServerName; readonly until: AbortSignal };

/**
 * Asks for what was there before the event that the join follows, and adds that: it has been in the room for longer
 * than the join, which not all servers that are asked need have taken in yet.
 */
async function stateBefore(
  hs: Homeserver,
  room: Room,
  { joinId, server, until }: Source & { readonly joinId: EventId },
): Promise<readonly EventId[] | undefined> {
  const join = (await findEvents(hs, [joinId])).get(joinId);
  const last = join && onlyPredecessor(join.pdu(room.rules));
  const { remotes } = hs;
  const asked = { remotes, keys: remotes.verifyKeys, until };
  const pdu = last && (await rawEventFrom(hs, { eventId: last, server }, asked));
  if (pdu) {
    const given = await stateFrom(hs, room, { eventId: last, server }, asked);
    if (!given) return undefined;
    const event = await storedEvent(hs, room, { eventId: last, pdu }, asked);
    if (event) return await withEvent(hs, given, event);
  }
  return await stateFrom(hs, room, { eventId: joinId, server }, asked);
}
