import type { Queryable } from "#src/homeserver/database.ts";

/** Has an account that has ended leave its rooms once more: it has come to one since. Of others nothing is changed. */
export async function leaveAgainIfEnded(db: Queryable, userKey: number): Promise<void> {
  // Another number each time: whoever is leaving the others sees it.
  await db`
    update accounts set leaving_after = least(leaving_after, 0) - 1
    where user_key = ${userKey} and deactivated_at_ms is not null`;
}
