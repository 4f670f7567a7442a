import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import type { Room } from "../find-room.ts";
import { NODES_PER_EVENT } from "../state-map/node.ts";
import type { StoredEvent } from "../stored-event.ts";
import { otherServerOf } from "../user-keys.ts";
import { mostNodesOf } from "./drafted-state.ts";
import type { Assessed } from "./received-event.ts";
import type { SettledEvent, Settlement } from "./settlement.ts";

/**
 * Where events go in the room's order: to its end, or before live events that are there already. Those that
 * are judged again, since all members are known now, stay where they are.
 */
export type ReceivedAs = "live" | "history" | "again";

/** Events of other servers that are to be stored together, in one room. */
export type ReceivedWrite = {
  readonly room: Room;
  readonly as: ReceivedAs;
  /** Whether we tell the other servers in the room of them: they came to us alone, in a handshake. */
  readonly isRelayed?: true;
  /** Of a join by which this server comes to a room: who can tell the members, which are not known yet. */
  readonly membersFrom?: readonly ServerName[];
  /** Each after those that it stands on. */
  readonly assessed: readonly Assessed[];
  /** What they make of the room, by a head that may have moved meanwhile. */
  readonly settlement: Settlement;
  /**
   * Works it out anew, in the lane, if the head has moved: after that has happened too often. Else the
   * write comes back stale.
   */
  readonly settleInLane?: true;
};

/** What became of a `ReceivedWrite`. Stale: nothing was stored, since the room is not what it was. */
export type ReceivedWritten =
  | { readonly stale: true }
  | {
      readonly stale: false;
      /** All that were stored, in order, as they are stored. */
      readonly events: readonly StoredEvent[];
      readonly settlement: Settlement;
    };

/**
 * How many positions an event takes: its own, and those after it that its states need, should they bring
 * more nodes than go with one.
 */
export function positionsOf({ assessed: { states }, roomState }: SettledEvent): number {
  const nodes = [states?.before, states?.after, roomState].reduce(
    (sum, it) => sum + (it ? mostNodesOf(it) : 0),
    0,
  );
  return 1 + Math.floor(nodes / NODES_PER_EVENT);
}

/** How many positions a write takes. Should it be worked out anew in the lane, what came out before is a fair guess. */
export function positionsOfWrite({ settlement, settleInLane }: ReceivedWrite): number {
  const exact = settlement.events.reduce((sum, it) => sum + positionsOf(it), 0);
  return settleInLane ? exact + SPARE : exact;
}

/**
 * Whether nothing comes but messages that are new and accepted, for which nothing waits and which leave the room's state
 * as it is: so that nothing but the tables of events is written for them, and nothing has to be asked.
 */
export function isPlainReceived(hs: Homeserver, write: ReceivedWrite): boolean {
  const { as, isRelayed, membersFrom, settlement, settleInLane } = write;
  const { waiting, events, comesAnew } = settlement;
  if (as !== "live" || isRelayed || membersFrom || settleInLane || comesAnew) return false;
  if (!waiting || waiting.isMissed || waiting.isRedacted || waiting.isOfRemoved) return false;
  return events.every(({ assessed: { event, outlier, missing }, decision, roomState }) => {
    const isMessage = event.state_key === undefined && event.type !== "m.room.redaction";
    const isOfOthers = otherServerOf(hs, event.sender) !== undefined;
    const isLast = missing.length === 0 && outlier === undefined && roomState === undefined;
    return isMessage && isOfOthers && isLast && decision.outcome === "accepted";
  });
}

/** Positions kept free for a state that is worked out in the lane: enough for some ten thousand of its entries. */
const SPARE = 100;
