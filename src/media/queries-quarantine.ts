import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { Mxc } from "./mxc.ts";

export async function isQuarantined(sql: Queryable, { origin, mediaId }: Mxc): Promise<boolean> {
  const rows = await sql`
    select from quarantined_media where media_id = ${mediaId} and origin = ${origin}`;
  return rows.count > 0;
}

/** @returns whether it was not yet. */
export async function insertQuarantine(
  sql: Queryable,
  { origin, mediaId }: Mxc,
  about: { readonly byUserKey: number; readonly now: UnixMs },
): Promise<boolean> {
  const stored = await sql`
    insert into quarantined_media (origin, media_id, quarantined_at_ms, by_user_key)
    values (${origin}, ${mediaId}, ${about.now}, ${about.byUserKey})
    on conflict do nothing`;
  return stored.count > 0;
}

/** @returns whether it was. */
export async function deleteQuarantine(sql: Queryable, { origin, mediaId }: Mxc): Promise<boolean> {
  const deleted = await sql`
    delete from quarantined_media where media_id = ${mediaId} and origin = ${origin}`;
  return deleted.count > 0;
}
