import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { write } from "#src/streams/write.ts";
import { eventsStream } from "../events-stream.ts";
import { findEvents } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { isResident } from "../residents.ts";
import { forgetHead } from "../room-head.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import { assessEvents } from "./assess-events.ts";
import { givenStates } from "./given-states.ts";
import { headOf } from "./head-of.ts";
import { receiveEvents } from "./receive-events.ts";
import type { ReceivedEvent } from "./received-event.ts";
import type { ReceivedWrite, ReceivedWritten } from "./received-write.ts";
import { inTurn } from "./room-turns.ts";
import { settleJoin } from "./settle-events.ts";
import { storeOutliers } from "./store-outliers.ts";

/** What a server that is in a room answers when one of our users joins it. */
export type JoinedState = {
  readonly room: Room;
  /** The state before the join, and all that authorises it. All have passed the checks 1 to 3. */
  readonly stateEvents: readonly ReceivedEvent[];
  readonly authChain: readonly ReceivedEvent[];
  /** The join, as the other server has signed it if it had to. */
  readonly joinEvent: ReceivedEvent;
  /** Who can tell the members, if the state comes without them. */
  readonly membersFrom?: readonly ServerName[];
};

/** What became of a join. */
export type JoinStored =
  | { readonly ok: true; readonly event: StoredEvent }
  /** The state that we were given does not allow the join: then the room is not entered. */
  | { readonly ok: false; readonly reason: string }
  /** This server is in the room, and has yet to get what the join follows there. */
  | { readonly ok: false; readonly waits: true };

/**
 * Stores the state of a room that this server comes to by a join: from now on the room's current state is
 * what it was before the join, and the join. What this server knew of the room from earlier stays, as
 * its past. If it is in the room already, the join is one of the room's events like any other.
 *
 * The state is stored before, as outliers; if this ends in between, the room has not been entered. If it has come
 * without the members, those are fetched later (see `rooms/partial/`).
 *
 * @spec server-server-api#joining-rooms
 */
export async function storeJoinedState(hs: Homeserver, joined: JoinedState): Promise<JoinStored> {
  const stored = await inTurn(hs, joined.room.roomKey, async () => await enter(hs, joined));
  return stored ?? (await addToRoom(hs, joined));
}

/** Enters a room. @returns undefined if this server is in it. */
async function enter(
  hs: Homeserver,
  { room, stateEvents, authChain, joinEvent, membersFrom }: JoinedState,
): Promise<JoinStored | undefined> {
  await storeOutliers(hs, room, [...authChain, ...stateEvents]);
  const ids = stateEvents.map((it) => it.event.event_id);
  for (;;) {
    const head = await headOf(hs, room);
    // After the head was read: should somebody enter after this, that is no longer the head.
    if (await isResident(hs.sql, room.roomKey)) return undefined;
    const given = await givenStates(hs, head, new Map([[joinEvent.event.event_id, ids]]));
    const { assessed, known } = await assessEvents(hs, room, [joinEvent], {
      states: { head, given, givenOverrules: true },
      lacksMembers: membersFrom !== undefined,
    });
    const already = known.get(joinEvent.event.event_id);
    if (already) return { ok: true, event: already };
    const [join] = assessed;
    if (!join) return { ok: false, reason: "its auth events are not known" };
    if (join.decision.outcome !== "accepted") return { ok: false, reason: join.decision.reason };
    const it: ReceivedWrite = {
      room,
      as: "live",
      assessed,
      settlement: settleJoin(head, join),
      ...(membersFrom && { membersFrom }),
    };
    const written = (await write(hs, eventsStream, it)) as ReceivedWritten;
    if (!written.stale) return resultOf(written.events);
    forgetHead(hs, room.roomKey);
  }
}

/** Adds a join to a room that this server is in, at the place in its graph where another server has put it. */
async function addToRoom(
  hs: Homeserver,
  { room, stateEvents, joinEvent, membersFrom }: JoinedState,
): Promise<JoinStored> {
  const { event_id, prev_events } = joinEvent.event;
  const before = await findEvents(hs, prev_events);
  const isLed = prev_events.every((id) => before.get(id)?.stateAfter !== undefined);
  const state = stateEvents.map((it) => it.event.event_id);
  // By a state without its members, those would have left.
  const isOfUse = !isLed && !membersFrom;
  const receipts = await receiveEvents(hs, room, [joinEvent], {
    as: "live",
    ...(isOfUse && { states: new Map([[event_id, state]]) }),
  });
  const receipt = receipts.get(event_id);
  const event = (await findEvents(hs, [event_id])).get(event_id);
  if (event?.status === EventStatus.accepted) return { ok: true, event };
  if (receipt?.outcome === "waits") return { ok: false, waits: true };
  return { ok: false, reason: receipt && "reason" in receipt ? receipt.reason : "it has no place" };
}

function resultOf([event]: readonly StoredEvent[]): JoinStored {
  if (!event) throw new Error("a join was stored without a trace");
  return { ok: true, event };
}
