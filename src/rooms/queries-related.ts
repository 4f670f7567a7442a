import type { Queryable } from "#src/homeserver/database.ts";
import type { EventId } from "#src/kit/identifiers.ts";

/** The IDs of the events that relate to an event in some ways, or in any; of one sender, or of all. */
export async function relatedIds(
  db: Queryable,
  {
    roomKey,
    target,
    relTypes,
    senderKey,
    limit,
  }: {
    readonly roomKey: number;
    readonly target: EventId;
    readonly relTypes: readonly string[] | undefined;
    readonly senderKey: number | undefined;
    readonly limit: number;
  },
): Promise<readonly EventId[]> {
  const rows = await db<{ event_id: EventId }[]>`
    select event_id from relations join events using (event_key)
    where relates_to = ${target} and relations.room_key = ${roomKey}
      ${relTypes === undefined ? db`` : db`and rel_type = any(${relTypes}::text[])`}
      ${senderKey === undefined ? db`` : db`and relations.sender_key = ${senderKey}`}
    limit ${limit}`;
  return rows.map((it) => it.event_id);
}
