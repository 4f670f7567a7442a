import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { findEvents } from "../find-event.ts";
import { makeWhole, restateEvents } from "../partial/queries-partial.ts";
import { relationOf } from "../persist-chains.ts";
import {
  applyRedactions,
  insertNodes,
  insertRelations,
  moveHeads,
  type RelationRow,
  upsertMemberships,
} from "../queries-persist.ts";
import { uncount } from "../room-reads.ts";
import { EventStatus, type StoredEvent } from "../stored-event.ts";
import type { PersistedReceived } from "./persist-received.ts";
import type { PlacedEvent, PlacedReceived } from "./place-received.ts";
import { forgetRelations, takeBackRedactions } from "./queries-received.ts";
import { noteRemovedBefore } from "./removed-before.ts";
import {
  headUpdate,
  isShown,
  memberRows,
  redactionOf,
  relationOfPlaced,
} from "./rows-of-placed.ts";

/** Stores what events have become that were judged again: their places and what they say are as before. */
export async function persistAgain(
  hs: Homeserver,
  lane: Tx,
  it: PlacedReceived,
): Promise<PersistedReceived> {
  const { roomKey } = it.write.room;
  const members = await memberRows(hs, lane, it);
  moveHeads(lane, [headUpdate(it)]);
  restateEvents(
    lane,
    it.placed.map(({ row }) => row),
    it.placed.map(({ position }) => position),
  );
  if (it.nodes.length > 0) insertNodes(lane, it.nodes);
  if (members.length > 0) upsertMemberships(lane, members);
  await noteRemovedBefore(hs, lane, it, members);
  uncount(
    lane,
    it.placed.filter(isNoneAfterAll).map(({ row }) => row.event_key),
  );
  const redacted = await redactAgain(lane, it);
  await relateAgain(hs, lane, it, redacted);
  const position = it.placed.at(-1)?.position ?? 0;
  const toldAnew = await makeWhole(lane, roomKey, position);
  return { members, redacted, toldAnew };
}

/** Whether an event that was part of the room has turned out to be none. */
function isNoneAfterAll(it: PlacedEvent): boolean {
  return it.settled.assessed.outlier?.status === EventStatus.accepted && !isShown(it);
}

/** By its ID, what an event is redacted by now; null if by nothing any more. */
type RedactedNow = ReadonlyMap<EventId, number | null>;

/** Has redactions do what they do by what they have become, and no more. */
async function redactAgain(lane: Tx, { placed }: PlacedReceived): Promise<RedactedNow> {
  const redacted = new Map<EventId, number | null>();
  const undone = placed.filter((it) => !redactionOf(it)).flatMap((it) => targetOf(it) ?? []);
  if (undone.length > 0) {
    for (const id of await takeBackRedactions(lane, undone)) redacted.set(id, null);
  }
  const redactions = placed.flatMap((it) => redactionOf(it) ?? []);
  if (redactions.length > 0) {
    const applied = await applyRedactions(lane, redactions);
    for (const { target, redactionKey } of redactions) {
      if (applied.has(redactionKey)) redacted.set(target, redactionKey);
    }
  }
  return redacted;
}

/** Has events relate to others that are part of the room and whole. */
async function relateAgain(
  hs: Homeserver,
  lane: Tx,
  { placed }: PlacedReceived,
  redacted: RedactedNow,
): Promise<void> {
  const own = new Set(placed.map(({ row }) => row.event_id));
  const isWhole = ({ row: { event_id, redacted_by } }: PlacedEvent) =>
    (redacted.has(event_id) ? redacted.get(event_id) : redacted_by) === null;
  const restored = [...redacted].flatMap(([id, by]) => (by === null && !own.has(id) ? [id] : []));
  const others = restored.length > 0 ? (await findEvents(hs, restored, lane)).values() : [];
  forgetRelations(
    lane,
    placed.map(({ row }) => row.event_key),
  );
  const relations = [
    ...placed.filter((it) => isShown(it) && isWhole(it)).map(relationOfPlaced),
    ...[...others].map(relationOfStored),
  ].filter((it) => it !== undefined);
  if (relations.length > 0) insertRelations(lane, relations);
}

function targetOf({ row, settled: { assessed } }: PlacedEvent) {
  const { type, redacts: target } = assessed.event;
  if (type !== "m.room.redaction" || target === undefined) return undefined;
  return { redactionKey: row.event_key, target };
}

function relationOfStored(event: StoredEvent): RelationRow | undefined {
  const { status, anchor, anchorOffset: offset } = event;
  if (status !== EventStatus.accepted || anchor === undefined) return undefined;
  return relationOf(event, { anchor, offset });
}
