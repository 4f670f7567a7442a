import type { Queryable } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { EventId } from "#src/kit/identifiers.ts";

/** An event that others may relate to; and up to which place in its room's order what does counts, if not all of it. */
export type Parent = {
  readonly eventId: EventId;
  readonly roomKey: number;
  readonly upTo?: Position | undefined;
  readonly senderKey: number;
  readonly type: string;
};

/** What one user has sent that relates to an event in one way. */
export type Tally = {
  readonly parent: EventId;
  readonly relType: string;
  readonly senderKey: number;
  readonly count: number;
  /** The last of it in the room's order: its anchor, its offset, and its key. */
  readonly last: readonly [anchor: number, offset: number, eventKey: number];
};

/** How much relates to events in the ways that are aggregated, user by user. */
export async function tallies(
  db: Queryable,
  parents: readonly Pick<Parent, "eventId" | "roomKey" | "upTo">[],
): Promise<readonly Tally[]> {
  return await db<Tally[]>`
    select relates_to as parent, rel_type as "relType", sender_key as "senderKey",
      count(*)::int as count, max(array[anchor, anchor_offset, event_key]) as last
    from unnest(${parents.map((it) => it.eventId)}::text[], ${parents.map((it) => it.roomKey)}::bigint[],
      ${parents.map(endOf)}::bigint[]) as parent (event_id, room_key, up_to)
    join relations on relates_to = parent.event_id and relations.room_key = parent.room_key
      and anchor <= parent.up_to
    where rel_type in ('m.thread', 'm.reference', 'm.replace')
    group by relates_to, rel_type, sender_key`;
}

/**
 * The keys of the newest valid edits of events, by the IDs of those.
 *
 * @spec client-server-api#validity-of-replacement-events
 */
export async function newestEdits(
  db: Queryable,
  parents: readonly Parent[],
): Promise<ReadonlyMap<EventId, number>> {
  const rows = await db<{ parent: EventId; event_key: number }[]>`
    select distinct on (relates_to) relates_to as parent, event_key
    from unnest(${parents.map((it) => it.eventId)}::text[], ${parents.map((it) => it.roomKey)}::bigint[],
      ${parents.map((it) => it.senderKey)}::bigint[], ${parents.map((it) => it.type)}::text[],
      ${parents.map(endOf)}::bigint[]) as parent (event_id, room_key, sender_key, type, up_to)
    join relations on relates_to = parent.event_id and rel_type = 'm.replace'
      and relations.room_key = parent.room_key and relations.sender_key = parent.sender_key
      and relations.type = parent.type and relations.anchor <= parent.up_to
    join events using (event_key)
    where events.state_key is null and events.status = 0
      and (events.type = 'm.room.encrypted' or json like '%"m.new_content":{%')
    order by relates_to, origin_server_ts desc, events.event_id desc`;
  return new Map(rows.map((it) => [it.parent, it.event_key]));
}

/** The IDs of the events that refer to events, oldest first, the first so many for each. */
export async function referencesTo(
  db: Queryable,
  parents: readonly Pick<Parent, "eventId" | "roomKey" | "upTo">[],
  { not, most }: { readonly not: readonly number[]; readonly most: number },
): Promise<ReadonlyMap<EventId, readonly EventId[]>> {
  const rows = await db<{ parent: EventId; event_id: EventId }[]>`
    select parent.event_id as parent, events.event_id
    from unnest(${parents.map((it) => it.eventId)}::text[], ${parents.map((it) => it.roomKey)}::bigint[],
      ${parents.map(endOf)}::bigint[]) as parent (event_id, room_key, up_to)
    cross join lateral (
      select event_key, anchor, anchor_offset from relations
      where relates_to = parent.event_id and rel_type = 'm.reference'
        and relations.room_key = parent.room_key and sender_key <> all(${not}::bigint[])
        and anchor <= parent.up_to
      order by anchor, anchor_offset limit ${most}) as reference
    join events using (event_key)
    order by reference.anchor, reference.anchor_offset`;
  return new Map(
    [...Map.groupBy(rows, (it) => it.parent)].map(([parent, its]) => [
      parent,
      its.map((it) => it.event_id),
    ]),
  );
}

function endOf({ upTo = Number.MAX_SAFE_INTEGER }: Pick<Parent, "upTo">): Position {
  return upTo;
}
