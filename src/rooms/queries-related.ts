import type { Queryable } from "#src/homeserver/database.ts";
import type { EventId } from "#src/kit/identifiers.ts";

/** The IDs of the events that relate to an event in some ways, or in any. */
export async function relatedIds(
  db: Queryable,
  {
    roomKey,
    target,
    relTypes,
    limit,
  }: {
    readonly roomKey: number;
    readonly target: EventId;
    readonly relTypes: readonly string[] | undefined;
    readonly limit: number;
  },
): Promise<readonly EventId[]> {
  const rows = await db<{ event_id: EventId }[]>`
    select event_id from relations join events using (event_key)
    where relates_to = ${target} and relations.room_key = ${roomKey}
      ${relTypes === undefined ? db`` : db`and rel_type = any(${relTypes}::text[])`}
    limit ${limit}`;
  return rows.map((it) => it.event_id);
}
