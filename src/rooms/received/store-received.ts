import { Counter } from "prom-client";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { Change, Outcome, Placed } from "#src/streams/stream.ts";
import { changeOf, memberChange, serversChange } from "../event-changes.ts";
import { heedRedaction, placedEventsOf, rememberStored } from "../find-event.ts";
import { redactSendersSoon } from "../mass-redaction/redact-senders.ts";
import { asksToRedact } from "../mass-redaction/removal.ts";
import { knownHead, readHeads, rememberHead } from "../room-head.ts";
import { rememberNodes } from "../state-map/stored-nodes.ts";
import { pairKey, pairsOf } from "../state-slots.ts";
import { type EventRow, EventStatus, StoredEvent } from "../stored-event.ts";
import { persistAgain } from "./persist-again.ts";
import { type PersistedReceived, persistReceived, relayedOf } from "./persist-received.ts";
import { isPartialAfter, type PlacedReceived, placeReceived } from "./place-received.ts";
import { placesOf, whatAwaits } from "./queries-received.ts";
import type { Assessed } from "./received-event.ts";
import type { ReceivedWrite, ReceivedWritten } from "./received-write.ts";
import { rememberRoot } from "./resolve-states.ts";
import { settleEvents, settleHistory, whatComes } from "./settle-events.ts";
import type { Settlement } from "./settlement.ts";
import { withUntold } from "./untold-redactions.ts";

const unexplained = new Counter({
  name: "archipel_room_state_resets_total",
  help: "Entries of rooms' current states that changed though no new event set them.",
  registers: [registry],
});

/** What is to be answered to whoever wrote, and what this process may believe once it is durable. */
export type StoredReceived = {
  readonly outcome: Outcome<ReceivedWritten>;
  readonly remember: () => void;
};

const STALE: StoredReceived = {
  outcome: { ok: true, result: { stale: true }, changes: [] },
  remember: () => {},
};

/**
 * Stores received events on their room's head, if that is what they were settled on.
 *
 * @param seen the version of the head as the lane sees it; undefined if this same group has moved it.
 */
export async function storeReceived(
  hs: Homeserver,
  lane: Tx,
  { write, position }: Placed<ReceivedWrite>,
  seen: number | undefined,
): Promise<StoredReceived> {
  const settlement = await settlementFor(hs, lane, write, seen);
  if (!settlement) return STALE;
  const places = await placeReceived(hs, lane, { write, settlement, position });
  const placed = await withUntold(hs, lane, places);
  const persist = write.as === "again" ? persistAgain : persistReceived;
  const persisted = await persist(hs, lane, placed);
  const events = placed.placed.map(
    ({ row, settled }) =>
      new StoredEvent(
        {
          ...row,
          redacted_by: redactedBy(persisted, row),
          relayed: relayedOf(hs, write, row),
        },
        settled.assessed.event,
      ),
  );
  const head = await headAfter(hs, lane, placed, events);
  audit(hs, placed);
  const told = placed.placed.flatMap(({ settled, position: at }, index) => {
    const event = events[index];
    const wasOutlier = settled.assessed.outlier !== undefined;
    const isNews = write.as === "live" || (write.as === "history" && wasOutlier);
    return event?.anchor !== undefined && isNews ? [changeOf(event, at)] : [];
  });
  return {
    outcome: {
      ok: true,
      result: { stale: false, events, settlement },
      changes: [...told, ...membersMoved(placed, persisted)],
    },
    remember() {
      for (const event of events) rememberStored(hs, event);
      for (const [target, key] of persisted.redacted) {
        if (key !== null) heedRedaction(hs, target, key);
      }
      rememberNodes(hs, placed.newNodes);
      for (const [draft, root] of placed.roots) rememberRoot(draft, root);
      rememberHead(hs, head);
      if (placed.placed.some(({ settled }) => asksToRedact(settled.assessed.event))) {
        redactSendersSoon(hs);
      }
    },
  };
}

function redactedBy({ redacted }: PersistedReceived, { event_id, redacted_by }: EventRow) {
  const by = redacted.get(event_id);
  return by === undefined ? redacted_by : by;
}

/** What the events make of the room as it is in the lane; undefined if that has to be worked out anew before it. */
async function settlementFor(
  hs: Homeserver,
  lane: Tx,
  { room, as, assessed, settlement, settleInLane }: ReceivedWrite,
  seen: number | undefined,
): Promise<Settlement | undefined> {
  if (seen === undefined) return undefined;
  if (seen === settlement.head.version) return settlement;
  if (!settleInLane || !(await isStillSo(lane, assessed))) return undefined;
  let head = knownHead(hs, room.roomKey);
  if (head?.version !== seen) head = (await readHeads(hs, lane, [room])).get(room.roomKey);
  if (!head) throw new Error("a room has a version and no head");
  // Before and after all members are known, events are judged by other states.
  if (head.isPartial !== settlement.head.isPartial) return undefined;
  const pending = new Map(assessed.map((it) => [it.event.event_id, it]));
  const come = whatComes(assessed, await whatAwaits(lane, room.roomKey, [...pending.keys()]));
  if (as === "history") return settleHistory(head, come);
  return await settleEvents(hs, { room, db: lane, pending }, head, come);
}

/** Whether what events were judged by is still all that there is: none of them has been stored meanwhile, nor what they lack. */
async function isStillSo(lane: Tx, assessed: readonly Assessed[]): Promise<boolean> {
  const own = new Map(assessed.map((it) => [it.event.event_id, it]));
  const lacking = assessed.flatMap((it) => it.missing);
  const placed = await placesOf(lane, [...own.keys(), ...lacking]);
  for (const [id, anchor] of placed) {
    const it = own.get(id);
    if (it ? it.outlier === undefined || anchor !== null : anchor !== null) return false;
  }
  return true;
}

/** The room's head once all is durable. What of the state was in memory is brought to what it is now. */
async function headAfter(
  hs: Homeserver,
  lane: Tx,
  { write, settlement, changes, stateRoot, extremities }: PlacedReceived,
  events: readonly StoredEvent[],
) {
  const { head } = settlement;
  const own = new Map(events.map((it) => [it.eventKey, it]));
  const pairs = await pairsOf(
    hs,
    changes.map((it) => it.slot),
    lane,
  );
  const state = new Map(head.state);
  const moved: [pair: string, eventKey: number | undefined][] = [];
  for (const { slot, after } of changes) {
    const pair = pairs.get(slot);
    // What was not in memory is read when it is asked for.
    if (pair && state.has(pairKey(...pair))) moved.push([pairKey(...pair), after]);
  }
  const ends = extremities.filter((it) => !own.has(it));
  const named = moved.flatMap(([, key]) => (key === undefined || own.has(key) ? [] : [key]));
  const others = await placedEventsOf(hs, [...ends, ...named], lane);
  const eventOf = (key: number) => own.get(key) ?? others.get(key);
  for (const [pair, key] of moved) state.set(pair, (key !== undefined && eventOf(key)) || null);
  return {
    room: write.room,
    version: head.version + 1,
    extremities: extremities.flatMap((key) => eventOf(key) ?? []),
    depth: Math.max(0, ...settlement.extremities.map((it) => it.depth)),
    stateRoot,
    ordinal: settlement.ordinal,
    isPartial: isPartialAfter(write, settlement),
    state,
  };
}

/**
 * Local members whose standing has changed without a member event of theirs that is new in the room; and, if
 * others' has changed, that servers may have come or gone.
 */
function membersMoved(
  { placed }: PlacedReceived,
  { members, toldAnew }: PersistedReceived,
): Change[] {
  const told = new Set(
    placed.filter(({ row }) => row.anchor !== null).map(({ row }) => row.event_key),
  );
  const local = members.filter((it) => it.server === undefined && !told.has(it.eventKey));
  const [other] = members.filter((it) => it.server !== undefined);
  return [
    ...local.map(memberChange),
    ...toldAnew.map(memberChange),
    ...(other ? [serversChange({ ...other, position: other.position ?? other.eventKey })] : []),
  ];
}

/** Tells of changes of a room's current state that no new event explains: what is called a state reset. */
function audit(hs: Homeserver, { write, settlement, placed, changes }: PlacedReceived): void {
  // A room that we come to anew has the state that it had, also where we are told the rest of it later.
  if (settlement.comesAnew || write.as === "again" || changes.length === 0) return;
  const own = new Set(
    placed.filter(({ row }) => row.status === EventStatus.accepted).map(({ row }) => row.event_key),
  );
  const odd = changes.filter(({ after }) => after === undefined || !own.has(after));
  if (odd.length === 0) return;
  unexplained.inc(odd.length);
  hs.log.warn(
    {
      roomId: write.room.roomId,
      eventIds: placed.slice(0, 5).map(({ row }) => row.event_id),
      entries: odd.length,
    },
    "the current state of a room has changed where no new event sets it",
  );
}
