import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { together } from "#src/homeserver/one-statement.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { noteRemovals, redactLate } from "../mass-redaction/queries-sender-redactions.ts";
import { noteUnread } from "../note-unread.ts";
import { beginPartial, forgetPartial, type MemberKey } from "../partial/queries-partial.ts";
import { removalOf } from "../persist-chains.ts";
import { insertHighlights } from "../queries-highlights.ts";
import {
  applyRedactions,
  insertEvents,
  insertNodes,
  insertRelations,
  markOnPartial,
  moveHeads,
  type MembershipRow,
  upsertMemberships,
} from "../queries-persist.ts";
import type { NewEvent } from "../room-in-making.ts";
import { insertReceivedSticky, type ReceivedStickyRow } from "../sticky/queries-sticky.ts";
import { stickyUntilOf } from "../sticky/sticky-events.ts";
import type { EventRow } from "../stored-event.ts";
import { otherServerOf } from "../user-keys.ts";
import { noteHoles } from "./note-holes.ts";
import type { PlacedEvent, PlacedReceived } from "./place-received.ts";
import {
  applyWaitingRedactions,
  forgetInvites,
  markRelayed,
  noteComing,
  placeOutliers,
} from "./queries-received.ts";
import { noteRemovedBefore } from "./removed-before.ts";
import {
  headUpdate,
  isShown,
  memberRows,
  redactionOf,
  relationOfPlaced,
} from "./rows-of-placed.ts";

/** What has been stored of received events, beside the rows. */
export type PersistedReceived = {
  /** The redactions that took effect: their keys, by the IDs of what they redact; null of what is redacted no more. */
  readonly redacted: ReadonlyMap<EventId, number | null>;
  /** What the room's new state says of members, where that has changed. */
  readonly members: readonly MembershipRow[];
  /** The local members who are to be told of the room anew, since all of it is known now. */
  readonly toldAnew: readonly MemberKey[];
};

/** Stores received events, and moves their room's head. */
export async function persistReceived(
  hs: Homeserver,
  lane: Tx,
  it: PlacedReceived,
): Promise<PersistedReceived> {
  const { write, settlement, placed } = it;
  const isNew = ({ settled }: PlacedEvent) => settled.assessed.outlier === undefined;
  const rows = placed.filter(isNew).map(({ row }) => row);
  const outliers = placed.filter((own) => !isNew(own));
  const members = await memberRows(hs, lane, it);

  const head = headUpdate(it);
  together(lane, (tx) => {
    if (rows.length > 0) insertEvents(tx, rows);
    moveHeads(tx, [head]);
  });
  markOnPartial(lane, rows);
  for (const [relayed, its] of Map.groupBy(rows, (row) => relayedOf(hs, write, row))) {
    if (relayed !== null) {
      markRelayed(
        lane,
        its.map((row) => row.event_key),
        relayed,
      );
    }
  }
  if (outliers.length > 0) {
    placeOutliers(
      lane,
      outliers.map(({ row }) => row),
      outliers.map(({ row, position }) => (row.anchor === null ? null : position)),
    );
  }
  markOnPartial(
    lane,
    outliers.map(({ row }) => row),
  );
  if (it.nodes.length > 0) insertNodes(lane, it.nodes);
  if (members.length > 0) upsertMemberships(lane, members);
  // After it: who was in the room when we were last is not known to be any more.
  if (settlement.comesAnew) noteMembersFrom(hs, lane, it);
  noteHoles(hs, lane, it);
  if (settlement.comesAnew) {
    await noteRemovedBefore(hs, lane, it, members);
    forgetInvites(lane, write.room.roomKey);
    noteComing(lane, write.room.roomKey, head.depth);
  }
  noteWhatClientsSee(hs, lane, it);
  noteRemoved(lane, it);
  noteSticky(hs, lane, it);
  return { members, redacted: await redact(lane, it), toldAnew: [] };
}

/** Records who can tell the members of a room that we come to, if we are not told all of them. */
function noteMembersFrom(hs: Homeserver, lane: Tx, { write, placed }: PlacedReceived): void {
  const { room, membersFrom } = write;
  const [join] = placed;
  if (!join) throw new Error("a room was come to without a join");
  if (!membersFrom) {
    forgetPartial(lane, room.roomKey, join.position);
    return;
  }
  beginPartial(lane, {
    roomKey: room.roomKey,
    joinId: join.row.event_id,
    servers: membersFrom,
    position: join.position,
    dueMs: hs.now(),
  });
}

/** Whether others hear of a received event from us: of what came back of our own users they have heard. */
export function relayedOf(
  hs: Homeserver,
  { isRelayed }: PlacedReceived["write"],
  { sender }: EventRow,
): boolean | null {
  return isRelayed ?? (otherServerOf(hs, sender) === undefined ? false : null);
}

/** Relations of all that is shown; of what is new in the room, also what it means for what is unread. */
function noteWhatClientsSee(hs: Homeserver, lane: Tx, { placed, write }: PlacedReceived): void {
  const links = placed.filter(isShown).flatMap((it) => linkOf(it, write) ?? []);
  const relations = placed.filter(isShown).flatMap((it) => relationOfPlaced(it) ?? []);
  if (relations.length > 0) insertRelations(lane, relations);
  if (write.as !== "live") return;
  insertHighlights(hs, lane, links);
  noteUnread(hs, lane, links);
}

/** Notes whom they remove from the room in such a way that what they sent is redacted. */
function noteRemoved(lane: Tx, { placed, write }: PlacedReceived): void {
  const removals = placed.filter(isShown).flatMap((it) => {
    const link = linkOf(it, write);
    return (link && removalOf({ ...link, eventKey: it.row.event_key })) ?? [];
  });
  if (removals.length > 0) noteRemovals(lane, removals);
}

/** Notes which of them are sticky: also those that the room's state does not let be said now, of which it may later. */
function noteSticky(hs: Homeserver, lane: Tx, { placed }: PlacedReceived): void {
  const nowMs = hs.now();
  const rows = placed.flatMap(({ settled, row, position }): ReceivedStickyRow[] => {
    const { decision, assessed } = settled;
    if (row.anchor === null || decision.outcome === "rejected") return [];
    // What the policy server does not want stays unsaid.
    if (decision.outcome === "soft-failed" && decision.check !== 6) return [];
    const untilMs = stickyUntilOf(assessed.received.json, { sentMs: row.origin_server_ts, nowMs });
    if (untilMs === undefined) return [];
    const toldAt = decision.outcome === "accepted" ? position : null;
    const { event_key: eventKey, room_key: roomKey, sender_key: senderKey } = row;
    const serverName = otherServerOf(hs, row.sender) ?? null;
    return [{ eventKey, roomKey, senderKey, serverName, untilMs, toldAt }];
  });
  if (rows.length > 0) insertReceivedSticky(lane, rows, nowMs);
}

/** An event in the form in which local ones are stored. */
function linkOf({ settled, row, position }: PlacedEvent, { room }: PlacedReceived["write"]) {
  const { event, levels, senderKey, received } = settled.assessed;
  if (!levels) return undefined;
  const made: NewEvent = {
    event,
    wire: {},
    json: received.json,
    sender: { userId: event.sender, userKey: senderKey },
    replaces: undefined,
    citing: [],
    levels,
  };
  return { event: made, eventKey: position, room, row };
}

async function redact(
  lane: Tx,
  { placed, settlement }: PlacedReceived,
): Promise<ReadonlyMap<EventId, number>> {
  const redactions = placed.flatMap((it) => redactionOf(it) ?? []);
  const redacted = new Map<EventId, number>();
  if (redactions.length > 0) {
    const applied = await applyRedactions(lane, redactions);
    for (const it of redactions) {
      if (applied.has(it.redactionKey)) redacted.set(it.target, it.redactionKey);
    }
  }
  const { isRedacted, isOfRemoved } = settlement.waiting ?? UNKNOWN;
  const last = placed.at(-1);
  if (isRedacted && last) {
    // Also what has no place yet: once it has one it is not new.
    const come = placed.map(({ row }) => row.event_id);
    const applied = await applyWaitingRedactions(lane, come, last.position);
    for (const [target, key] of applied) redacted.set(target, key);
  }
  if (isOfRemoved) {
    const come = placed.map(({ row }) => row.event_key);
    for (const [target, key] of await redactLate(lane, come)) redacted.set(target, key);
  }
  return redacted;
}

const UNKNOWN = { isRedacted: true, isOfRemoved: true };
