import type { RoomEventFilter } from "#src/filters/filter.ts";
import { asksRelating, type Relating } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";

/** Who relates to each of some events in its room, and how, if a filter asks for that. */
export async function relatingEvents(
  hs: Homeserver,
  filter: RoomEventFilter | undefined,
  events: Iterable<StoredEvent>,
): Promise<ReadonlyMap<EventId, Relating>> {
  if (!asksRelating(filter)) return new Map();
  const its = [...events];
  const rows = await hs.sql<{ relates_to: EventId; sender: string; rel_type: string }[]>`
    select distinct relates_to, user_id as sender, rel_type
    from relations join users on users.user_key = relations.sender_key
    where (relates_to, room_key) in (
      select * from unnest(${its.map((it) => it.eventId)}::text[], ${its.map((it) => it.roomKey)}::bigint[]))`;
  return new Map(
    [...Map.groupBy(rows, (it) => it.relates_to)].map(([eventId, its]) => [
      eventId,
      {
        senders: new Set(its.map((it) => it.sender)),
        relTypes: new Set(its.map((it) => it.rel_type)),
      },
    ]),
  );
}
