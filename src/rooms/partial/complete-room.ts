import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { write } from "#src/streams/write.ts";
import { statesAt } from "../current-state.ts";
import { eventsStream } from "../events-stream.ts";
import { eventsOf, findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { POLICIES } from "../policy/policy-server.ts";
import { assessEvents } from "../received/assess-events.ts";
import type { DraftedState } from "../received/drafted-state.ts";
import { completedState } from "../received/given-states.ts";
import { headOf } from "../received/head-of.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import type { ReceivedWrite, ReceivedWritten } from "../received/received-write.ts";
import { inTurn, keepingStill } from "../received/room-turns.ts";
import { settleAgain } from "../received/settle-events.ts";
import { forgetHead } from "../room-head.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { keysSinceJoin, partialSince } from "./queries-partial.ts";

/** How often it is tried before local senders have to wait for it, and in all: those of other processes do not wait. */
const MOST_FREE_TRIES = 2;
const MOST_TRIES = 20;

/**
 * Makes a room's state whole: puts the members into the state before the join by which this server came to it, and
 * judges all that has come since once more, by states that have them too. What the room's rules do not allow,
 * now that all is known, is part of it no more.
 *
 * @param state the IDs of the events of the state before the join; all are stored. Of that, what we were not told as we came.
 * @returns false if the room was quicker each time, as it may be where another process writes to it: then it is to be tried later.
 */
export async function completeRoom(
  hs: Homeserver,
  room: Room,
  { joinId, state }: { joinId: EventId; state: readonly EventId[] },
): Promise<boolean> {
  return await inTurn(hs, room.roomKey, async () => {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const attempt = async () => await tryOnce(hs, room, { joinId, state });
      const isFree = tries < MOST_FREE_TRIES;
      if (isFree ? await attempt() : await keepingStill(hs, room.roomKey, attempt)) return true;
      forgetHead(hs, room.roomKey);
    }
    return false;
  });
}

/** @returns whether the room was still what it was when all had been worked out. */
async function tryOnce(
  hs: Homeserver,
  room: Room,
  { joinId, state }: { joinId: EventId; state: readonly EventId[] },
): Promise<boolean> {
  forgetHead(hs, room.roomKey);
  const head = await headOf(hs, room);
  if (!head.isPartial) return true;
  // Should we have left the room and come to it again meanwhile, somebody else is about it.
  if ((await partialSince(hs.sql, room.roomKey)) !== joinId) return true;
  const keys = await keysSinceJoin(hs.sql, room.roomKey, joinId);
  const stored = await eventsOf(hs, keys);
  const hasPolicy = (await statesAt(hs, head.stateRoot, POLICIES)).size > 0;
  const events = keys
    .flatMap((key) => stored.get(key) ?? [])
    .map((it) => receivedOf(it, room, hasPolicy));
  const given = new Map<EventId, DraftedState>();
  // Who let us in has been believed: whoever is asked for the members adds these, and takes nothing back.
  for (const it of await unledOf(hs, room, { joinId, events: [...stored.values()] })) {
    if (it.stateBefore === undefined) continue;
    given.set(it.eventId, await completedState(hs, it.stateBefore, { room, state }));
  }
  const { assessed } = await assessEvents(hs, room, events, {
    states: { head: undefined, given, givenOverrules: true },
    again: true,
  });
  const pending = new Map(assessed.map((it) => [it.event.event_id, it]));
  const reading = { room, db: hs.sql, pending };
  const settlement = await settleAgain(hs, reading, head, assessed);
  const it: ReceivedWrite = { room, as: "again", assessed, settlement };
  const written = (await write(hs, eventsStream, it)) as ReceivedWritten;
  return !written.stale;
}

/**
 * Those of some events before which the state was given by another server: the join, and others of which not all that
 * leads to them is known.
 */
async function unledOf(
  hs: Homeserver,
  { rules }: Room,
  { joinId, events }: { readonly joinId: EventId; readonly events: readonly StoredEvent[] },
): Promise<StoredEvent[]> {
  const named = await findEvents(
    hs,
    events.flatMap((it) => it.pdu(rules).prev_events),
  );
  const isUnknown = (id: EventId) => named.get(id)?.stateAfter === undefined;
  return events.filter((it) => it.eventId === joinId || it.pdu(rules).prev_events.some(isUnknown));
}

/**
 * An event as it came. What was soft-failed or rejected may be part of the room after all; but not if that was
 * perhaps its policy server's doing, which is not asked again, or perhaps for want of a signature, which is not looked at again.
 */
function receivedOf(it: StoredEvent, { rules }: Room, hasPolicy: boolean): ReceivedEvent {
  const event = it.pdu(rules);
  const mayBeRefused = hasPolicy && it.status === EventStatus.softFailed;
  const mayBeUnsigned =
    it.status === EventStatus.rejected && "join_authorised_via_users_server" in event.content;
  return {
    event,
    json: it.json,
    ...(mayBeRefused && { refusedByPolicy: "soft-failed before" }),
    ...(mayBeUnsigned && { lacksAuthorisersSignature: true }),
  };
}
