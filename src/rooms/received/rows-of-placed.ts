import { isUserId } from "#src/events/event-identifiers.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { serverNameOf } from "#src/kit/identifiers.ts";
import { eventsOf } from "../find-event.ts";
import { relationOf } from "../persist-chains.ts";
import type { HeadUpdate, MembershipRow, RedactionRow, RelationRow } from "../queries-persist.ts";
import { pairsOf } from "../state-slots.ts";
import { EventStatus } from "../stored-event.ts";
import { findUserKeys, otherServerOf } from "../user-keys.ts";
import type { PlacedEvent, PlacedReceived } from "./place-received.ts";

// What is written of received events that have their places.

export function headUpdate(it: PlacedReceived): HeadUpdate {
  const { write, settlement } = it;
  return {
    roomKey: write.room.roomKey,
    version: settlement.head.version,
    extremities: it.extremities,
    depth: Math.max(0, ...settlement.extremities.map((own) => own.depth)),
    stateRoot: it.stateRoot,
    ordinal: settlement.ordinal,
    lastPosition: lastShown(it),
  };
}

export function isShown({ row }: PlacedEvent): boolean {
  return row.status === EventStatus.accepted && row.anchor !== null;
}

function lastShown({ placed, write }: PlacedReceived): number | undefined {
  return write.as === "live" ? placed.findLast(isShown)?.position : undefined;
}

/** What an event refers to, if it says so. */
export function relationOfPlaced({ settled, row }: PlacedEvent): RelationRow | undefined {
  const { type, content } = settled.assessed.event;
  const { event_key: eventKey, room_key: roomKey, sender_key: senderKey } = row;
  const place = { anchor: row.anchor ?? eventKey, offset: row.anchor_offset };
  return relationOf({ type, content, eventKey, roomKey, senderKey }, place);
}

/** What an event redacts, if it is a redaction that counts, once what it is about is here. */
export function redactionOf(it: PlacedEvent): RedactionRow | undefined {
  const { event, levels } = it.settled.assessed;
  if (event.type !== "m.room.redaction" || event.redacts === undefined) return undefined;
  if (!(isShown(it) || it.row.status === EventStatus.untold) || !levels) return undefined;
  return {
    redactionKey: it.row.event_key,
    roomKey: it.row.room_key,
    target: event.redacts,
    anyone: levels.powerOf(event.sender) >= levels.named("redact"),
    domain: serverNameOf(event.sender),
  };
}

/** What the room's state now says of those members of whom it said something else. */
export async function memberRows(
  hs: Homeserver,
  lane: Tx,
  { changes, placed, write }: PlacedReceived,
): Promise<MembershipRow[]> {
  if (changes.length === 0) return [];
  const byKey = new Map(placed.map((it) => [it.row.event_key, it]));
  const last = (placed.findLast(isShown) ?? placed.at(-1))?.position ?? 0;
  const pairs = await pairsOf(
    hs,
    changes.map((it) => it.slot),
    lane,
  );
  const moved = changes.flatMap(({ slot, before, after }) => {
    const [type, user] = pairs.get(slot) ?? [];
    return type === "m.room.member" && isUserId(user) ? [{ user, before, after }] : [];
  });
  if (moved.length === 0) return [];
  const stored = await eventsOf(
    hs,
    moved.flatMap(({ after }) => (after === undefined || byKey.has(after) ? [] : [after])),
    lane,
  );
  const keys = await findUserKeys(
    hs,
    moved.map((it) => it.user),
    lane,
  );
  return moved.flatMap(({ user, before, after }) => {
    const userKey = keys.get(user);
    const eventKey = after ?? before;
    if (userKey === undefined || eventKey === undefined) return [];
    const own = byKey.get(eventKey);
    const content = own?.settled.assessed.event.content ?? stored.get(eventKey)?.content;
    const membership = after === undefined ? "leave" : content?.["membership"];
    return {
      userKey,
      roomKey: write.room.roomKey,
      membership: typeof membership === "string" ? membership : "leave",
      eventKey,
      position: own && isShown(own) ? own.position : last,
      server: otherServerOf(hs, user),
    };
  });
}
