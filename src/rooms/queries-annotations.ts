import type { Queryable } from "#src/homeserver/database.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Transaction } from "./room-write.ts";

/** What somebody says of an event by an annotation. */
export type Annotation = {
  readonly userKey: number;
  readonly target: EventId;
  readonly key: string;
};

/** Whether there is such an annotation, but by the same request. */
export async function isAnnotated(
  db: Queryable,
  { userKey, target, key }: Annotation,
  { deviceKey, txnId }: Transaction,
): Promise<boolean> {
  const same = await db`
    select 1 from relations join events using (event_key)
    where relates_to = ${target} and rel_type = 'm.annotation' and aggregation_key = ${key}
      and relations.sender_key = ${userKey} and relations.type = 'm.reaction'
      and not (device_key is not distinct from ${deviceKey} and txn_id is not distinct from ${txnId})
    limit 1`;
  return same.length > 0;
}
