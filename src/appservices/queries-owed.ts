import type { Queryable } from "#src/homeserver/database.ts";

/** Has what an application service has not taken tried again at once, by the process that sees to it. */
export async function endWait(db: Queryable, appserviceId: string): Promise<void> {
  await db`
    update appservice_feeds set failures = 0, due_ms = 0
    where appservice_id = ${appserviceId} and failures > 0`;
}
