import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { write } from "#src/streams/write.ts";
import { eventsStream } from "../events-stream.ts";
import { eventsOf } from "../find-event.ts";
import type { Room } from "../find-room.ts";
import { checkPolicyAgain } from "../policy/check-policy.ts";
import { forgetHead, type RoomHead } from "../room-head.ts";
import type { NodeKey } from "../state-map/node.ts";
import type { StoredEvent } from "../stored-event.ts";
import { assessEvents, type Assessment } from "./assess-events.ts";
import type { Decision } from "./decide.ts";
import { type GivenStates, givenStates } from "./given-states.ts";
import { headOf } from "./head-of.ts";
import { whatAwaits } from "./queries-received.ts";
import type { ReceivedEvent } from "./received-event.ts";
import type { ReceivedAs, ReceivedWrite, ReceivedWritten } from "./received-write.ts";
import { inTurn, keepingStill } from "./room-turns.ts";
import { type Come, settleEvents, settleHistory, whatComes } from "./settle-events.ts";
import type { Settlement } from "./settlement.ts";

/** What became of a received event. */
export type Receipt =
  | Decision
  /** It was stored before. */
  | { readonly outcome: "known"; readonly event: StoredEvent }
  /** It is stored, and has no place until the events before it, or the state there, are known. */
  | { readonly outcome: "waits"; readonly missing: readonly EventId[] }
  /** It is not stored, since it names auth events that are not known. */
  | { readonly outcome: "unverifiable" };

export type Receiving = {
  /** Where the events go: to the end of the room, or before what is there already. */
  readonly as: ReceivedAs;
  /**
   * The state before events whose `prev_events` are not all known, as another server gave it: IDs of
   * state events that are all stored.
   */
  readonly states?: GivenStates;
  /** Whether events wait that would be rejected by such a state: who gave it may have had its reasons. */
  readonly doubtsStates?: true;
  /** A state of the room that these are probably like, if another than the current one. */
  readonly statesLike?: NodeKey;
  /**
   * Whether the other servers in the room hear of them from us: those that were brought to us alone, in a
   * handshake. Everything else its sender's server sends to all.
   *
   * @spec server-server-api#joining-rooms
   */
  readonly isRelayed?: true;
};

/** How often a write that came too late is worked out anew before local senders have to wait for it. */
const MOST_RETRIES = 1;

/**
 * Takes events of other servers into a room. They must have passed the checks 1 to 3; the others are made
 * here. What they stand on is worked out before the lane is taken.
 *
 * Whatever was waiting for one of them is taken in after it.
 *
 * @returns what became of each, by its ID; also of those that had waited.
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export async function receiveEvents(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
  receiving: Receiving = { as: "live" },
): Promise<Map<EventId, Receipt>> {
  return await inTurn(hs, room.roomKey, async () => {
    const receipts = new Map<EventId, Receipt>();
    const waiting = new Set<number>();
    let next = events;
    let how = receiving;
    while (next.length > 0) {
      const { written, assessment } = await store(hs, room, next, how);
      for (const [id, receipt] of receiptsOf(assessment, written)) receipts.set(id, receipt);
      for (const key of written?.settlement.waiting?.outliers ?? []) waiting.add(key);
      next = await checkPolicyAgain(hs, room, await someOfWaiting(hs, room, waiting));
      // What waited came as news.
      how = { as: "live" };
    }
    return receipts;
  });
}

type Written = Extract<ReceivedWritten, { stale: false }>;

async function store(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
  { as, states = new Map(), doubtsStates, statesLike, isRelayed }: Receiving,
): Promise<{ written: Written | undefined; assessment: Assessment }> {
  for (let retries = 0; ; retries++) {
    const head = await headOf(hs, room);
    const given = await givenStates(hs, head, states, statesLike);
    const coming = await whatAwaits(hs.sql, room.roomKey, idsOf(events));
    const { stored } = coming;
    const assessment = await assessEvents(hs, room, events, {
      states: { head, given },
      stored,
      doubtsGiven: doubtsStates === true,
    });
    const { assessed } = assessment;
    if (assessed.length === 0) return { written: undefined, assessment };
    const come = whatComes(assessed, coming);
    const it: ReceivedWrite = {
      room,
      as,
      assessed,
      settlement: await settlementOf(hs, room, { as, head, come }),
      ...(isRelayed && { isRelayed }),
      ...(retries >= MOST_RETRIES && { settleInLane: true }),
    };
    const own = async () => (await write(hs, eventsStream, it)) as ReceivedWritten;
    const written = it.settleInLane ? await keepingStill(hs, room.roomKey, own) : await own();
    if (!written.stale) return { written, assessment };
    forgetHead(hs, room.roomKey);
  }
}

async function settlementOf(
  hs: Homeserver,
  room: Room,
  { as, head, come }: { as: ReceivedAs; head: RoomHead; come: Come },
): Promise<Settlement> {
  if (as === "history") return settleHistory(head, come);
  const pending = new Map(come.assessed.map((it) => [it.event.event_id, it]));
  return await settleEvents(hs, { room, db: hs.sql, pending }, head, come);
}

function idsOf(events: readonly ReceivedEvent[]): EventId[] {
  return events.map((it) => it.event.event_id);
}

function* receiptsOf(
  { assessed, known, unverifiable }: Assessment,
  written: Written | undefined,
): Generator<[EventId, Receipt]> {
  for (const [id, event] of known) yield [id, { outcome: "known", event }];
  for (const id of unverifiable) yield [id, { outcome: "unverifiable" }];
  const decisions = new Map(
    written?.settlement.events.map((it) => [it.assessed.event.event_id, it.decision]),
  );
  for (const { event, decision, states, missing } of assessed) {
    const waits = !states && decision.outcome === "accepted";
    const receipt = decisions.get(event.event_id) ?? decision;
    yield [event.event_id, waits ? { outcome: "waits", missing } : receipt];
  }
}

/** The most events of those that have waited that are taken in by one write. */
const MOST_AT_A_TIME = 50;

/**
 * Takes from events that were stored without a place, and of which what they waited for has come now, those that came first.
 *
 * @param waiting their keys.
 * @returns none if none is left that has no place yet.
 */
async function someOfWaiting(
  hs: Homeserver,
  { rules }: Room,
  waiting: Set<number>,
): Promise<ReceivedEvent[]> {
  while (waiting.size > 0) {
    const keys = [...waiting].toSorted((a, b) => a - b).slice(0, MOST_AT_A_TIME);
    for (const key of keys) waiting.delete(key);
    const stored = await eventsOf(hs, keys);
    const unplaced = [...stored.values()].filter((it) => it.anchor === undefined);
    if (unplaced.length > 0) return unplaced.map((it) => ({ event: it.pdu(rules), json: it.json }));
  }
  return [];
}
