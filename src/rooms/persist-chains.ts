import { relationOf as relationIn } from "#src/events/threads.ts";
import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { together } from "#src/homeserver/one-statement.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { serverNameOf, type UserId } from "#src/kit/identifiers.ts";
import { noteRemovals, type RemovalRow } from "./mass-redaction/queries-sender-redactions.ts";
import { asksToRedact, mayRedact } from "./mass-redaction/removal.ts";
import { noteUnread } from "./note-unread.ts";
import type { PlacedChain } from "./place-events.ts";
import { insertHighlights } from "./queries-highlights.ts";
import {
  applyRedactions,
  insertEvents,
  insertNodes,
  insertRelations,
  markOnPartial,
  moveHeads,
  type MembershipRow,
  type RedactionRow,
  type RelationRow,
  upsertMemberships,
} from "./queries-persist.ts";
import type { NewEvent } from "./room-in-making.ts";
import { insertSticky } from "./sticky/queries-sticky.ts";
import { stickyRowOf } from "./sticky/sticky-events.ts";
import { otherServerOf, userKeysOf } from "./user-keys.ts";

/**
 * Stores chains of events and moves their rooms' heads: the only statements that write to the graph.
 *
 * @returns the event keys of the redactions that took effect.
 */
export async function persistChains(
  hs: Homeserver,
  lane: Tx,
  chains: readonly PlacedChain[],
): Promise<ReadonlySet<number>> {
  const rows = chains.flatMap((it) => it.rows);
  if (rows.length === 0) return new Set();
  const memberships = await membershipRows(hs, chains);
  const links = chains.flatMap(({ chain, rows: its }) =>
    chain.links.map((link, index) => ({ ...link, room: chain.room, row: its[index] })),
  );
  const relations = links.flatMap((it) => relationOf(relatingOf(it)) ?? []);
  const redactions = links.flatMap((it) => redactionOf(it) ?? []);
  const nodes = chains.flatMap((it) => it.nodes);

  const heads = chains.flatMap((it) => headUpdate(it) ?? []);

  // None is waited for: all are answered with the commit.
  together(lane, (tx) => {
    insertEvents(tx, rows);
    moveHeads(tx, heads);
    if (nodes.length > 0) insertNodes(tx, nodes);
    if (relations.length > 0) insertRelations(tx, relations);
    noteUnread(hs, tx, links);
  });
  // Those who come and go count for what comes after, and what is marked or redacted may be of this same group.
  if (memberships.length > 0) upsertMemberships(lane, memberships);
  insertHighlights(hs, lane, links);
  markOnPartial(lane, rows);
  const sticky = links.flatMap((it) => stickyRowOf(it) ?? []);
  if (sticky.length > 0) insertSticky(lane, sticky);
  const removals = links.flatMap((it) => removalOf(it) ?? []);
  if (removals.length > 0) noteRemovals(lane, removals);
  return redactions.length > 0 ? await applyRedactions(lane, redactions) : new Set();
}

function headUpdate({ chain, rows, stateRoot, ordinal }: PlacedChain) {
  const last = rows.at(-1);
  if (!last) return undefined;
  return {
    roomKey: chain.room.roomKey,
    version: chain.head?.version ?? 0,
    extremities: [last.event_key],
    depth: last.depth,
    stateRoot,
    ordinal,
    lastPosition: last.event_key,
  };
}

async function membershipRows(
  hs: Homeserver,
  chains: readonly PlacedChain[],
): Promise<MembershipRow[]> {
  // Of several changes in one group the last counts.
  const members = new Map<string, { user: UserId; membership: string; link: Linked }>();
  for (const { chain } of chains) {
    for (const { event, eventKey } of chain.links) {
      const { type, state_key, content } = event.event;
      const { membership } = content;
      if (type !== "m.room.member" || typeof membership !== "string") continue;
      const user = state_key as UserId;
      const link = { roomKey: chain.room.roomKey, eventKey };
      members.set(`${link.roomKey} ${user}`, { user, membership, link });
    }
  }
  if (members.size === 0) return [];
  const its = [...members.values()];
  // All are known already: they were given keys before the lane was taken.
  const keys = await userKeysOf(
    hs,
    its.map((it) => it.user),
  );
  return its.map(({ user, membership, link }) => ({
    ...link,
    membership,
    userKey: keys.get(user) ?? missingKey(),
    server: otherServerOf(hs, user),
  }));
}

type Linked = { readonly roomKey: number; readonly eventKey: number };

function missingKey(): never {
  throw new Error("a member was given no key before their event was stored");
}

type Link = {
  readonly event: NewEvent;
  readonly eventKey: number;
  readonly room: { readonly roomKey: number };
};

/** An event, as far as it may relate to another. */
export type Relating = {
  readonly type: string;
  readonly content: CanonicalObject;
  readonly eventKey: number;
  readonly roomKey: number;
  readonly senderKey: number;
};

/**
 * What an event says that it refers to, as it is stored.
 *
 * @param place of the event in the room's order: its own position, unless it came later.
 * @spec client-server-api#forming-relationships-between-events
 */
export function relationOf(
  { content, type, eventKey, roomKey, senderKey }: Relating,
  place = { anchor: eventKey, offset: 0 },
): RelationRow | undefined {
  const relation = relationIn(content);
  if (!relation) return undefined;
  const { key } = content["m.relates_to"] as Record<string, unknown>;
  return {
    eventKey,
    roomKey,
    relatesTo: relation.eventId,
    relType: relation.relType,
    anchor: place.anchor,
    anchorOffset: place.offset,
    type,
    senderKey,
    // A NUL is nothing that anybody could be shown, and the database can hold none.
    aggregationKey: typeof key === "string" && !key.includes("\0") ? key : null,
  };
}

function relatingOf({ event: { event, sender }, eventKey, room }: Link): Relating {
  const { type, content } = event;
  return { type, content, eventKey, roomKey: room.roomKey, senderKey: sender.userKey };
}

/** Whom an event removes from the room in such a way that what they sent is redacted, if its sender may do that. */
export function removalOf({ event, eventKey, room }: Link): RemovalRow | undefined {
  if (!asksToRedact(event.event) || !mayRedact(event.levels, event.event.sender)) return undefined;
  const target = event.event.state_key as UserId;
  return { redactionKey: eventKey, roomKey: room.roomKey, target };
}

function redactionOf({ event, eventKey, room }: Link): RedactionRow | undefined {
  const { type, redacts, sender } = event.event;
  if (type !== "m.room.redaction" || redacts === undefined) return undefined;
  return {
    redactionKey: eventKey,
    roomKey: room.roomKey,
    target: redacts,
    anyone: event.levels.powerOf(sender) >= event.levels.named("redact"),
    domain: serverNameOf(sender),
  };
}
