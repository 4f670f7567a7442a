import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomHead } from "../room-head.ts";
import { addEvent, begin, resolved } from "./add-event.ts";
import type { RoomReading } from "./auth-graph.ts";
import { storedState } from "./drafted-state.ts";
import { type Coming, type Waiting, waitingFor } from "./queries-received.ts";
import type { Assessed } from "./received-event.ts";
import type { Settlement } from "./settlement.ts";

/**
 * Adds live events to a room as it is: checks them against its current state, and works out its new
 * forward extremities and what their states resolve to.
 *
 * @param reading where to read: in the lane, the lane.
 * @spec server-server-api#soft-failure
 */
export async function settleEvents(
  hs: Homeserver,
  reading: RoomReading,
  head: RoomHead,
  { assessed, waiting }: Come,
): Promise<Settlement> {
  let at = begin({ ...unchanged(head), waiting });
  const byId = new Map(assessed.map((it) => [it.event.event_id, it]));
  for (const it of assessed) {
    at = await addEvent(hs, reading, at, {
      it,
      byId,
      followers: waiting.followed.get(it.event.event_id),
    });
  }
  return await resolved(hs, reading, at);
}

/** Events that have come, and what waits for them. */
export type Come = { readonly assessed: readonly Assessed[]; readonly waiting: Waiting };

/** Those that can be judged of events that come. */
export function whatComes(assessed: readonly Assessed[], coming: Coming): Come {
  const placed = assessed.filter((it) => it.states).map((it) => it.event.event_id);
  return { assessed, waiting: waitingFor(coming, new Set(placed)) };
}

/** Adds events of the past, of which nothing follows for the room as it is. */
export function settleHistory(
  head: RoomHead,
  {
    assessed,
    waiting,
  }: { readonly assessed: readonly Assessed[]; readonly waiting: Waiting | undefined },
): Settlement {
  return {
    ...unchanged(head),
    waiting,
    events: assessed.map((it) => ({
      assessed: it,
      decision: it.decision,
      roomState: undefined,
      ordinal: 0,
    })),
  };
}

/** A room that this server comes to by a join: its state is what came with that, and it has no other end. */
export function settleJoin(head: RoomHead, join: Assessed): Settlement {
  const { states, event, outlier, decision } = join;
  if (!states) throw new Error("a join came without the state before it");
  return {
    ...unchanged(head),
    events: [{ assessed: join, decision, roomState: states.after, ordinal: head.ordinal }],
    current: states.after,
    extremities: [
      {
        eventId: event.event_id,
        ref: outlier?.eventKey ?? event.event_id,
        after: states.after,
        depth: event.depth,
      },
    ],
    comesAnew: true,
  };
}

/**
 * A room whose members were not all known until now: the join by which this server came to it, and all that has
 * been added since, once more.
 */
export async function settleAgain(
  hs: Homeserver,
  reading: RoomReading,
  head: RoomHead,
  assessed: readonly Assessed[],
): Promise<Settlement> {
  const [join, ...others] = assessed;
  if (!join) throw new Error("a room that we have come to has no join");
  const { comesAnew: _, ...joined }: Settlement = settleJoin(head, join);
  let at = joined;
  const byId = new Map(assessed.map((it) => [it.event.event_id, it]));
  for (const it of others) {
    const added = await addEvent(hs, reading, begin(at), { it, byId });
    // They came one after the other, and each was seen.
    at = await resolved(hs, reading, added);
  }
  return { ...at, ordinal: head.ordinal };
}

/** A room to which nothing has been added. */
function unchanged(head: RoomHead): Settlement {
  return {
    head,
    events: [],
    current: storedState(head.stateRoot),
    extremities: head.extremities.map((it) => ({
      eventId: it.eventId,
      ref: it.eventKey,
      after: storedState(it.stateAfter ?? 0),
      depth: it.depth,
    })),
    ordinal: head.ordinal,
    waiting: undefined,
  };
}
