import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { CanonicalObject } from "#src/kit/canonical-json.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Transaction } from "./room-write.ts";

/**
 * Refuses a second annotation of an event by the same user with the same key; but not the same request
 * made again, which its transaction ID tells.
 *
 * @throws MatrixError M_DUPLICATE_ANNOTATION
 * @spec client-server-api#avoiding-duplicate-annotations
 */
export async function requireNewAnnotation(
  hs: Homeserver,
  { userKey }: { readonly userKey: number },
  content: CanonicalObject,
  { deviceKey, txnId }: Transaction,
): Promise<void> {
  const relation = content["m.relates_to"];
  if (typeof relation !== "object" || relation === null) return;
  const { rel_type, event_id, key } = relation as Record<string, unknown>;
  if (rel_type !== "m.annotation" || typeof event_id !== "string" || typeof key !== "string") {
    return;
  }
  const same = await hs.sql`
    select 1 from relations join events using (event_key)
    where relates_to = ${event_id} and rel_type = 'm.annotation' and aggregation_key = ${key}
      and relations.sender_key = ${userKey} and relations.type = 'm.reaction'
      and not (device_key is not distinct from ${deviceKey} and txn_id is not distinct from ${txnId})
    limit 1`;
  if (same.length > 0) {
    throw new MatrixError("M_DUPLICATE_ANNOTATION", "You have annotated the event so already");
  }
}
