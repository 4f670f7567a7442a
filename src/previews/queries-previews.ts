import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";

/** What is known of a URL since some time. JSON. */
export async function findPreview(
  db: Queryable,
  urlHash: string,
  sinceMs: UnixMs,
): Promise<string | undefined> {
  const [row] = await db<{ preview: string }[]>`
    select preview from url_previews where url_hash = ${urlHash} and made_ms >= ${sinceMs}`;
  return row?.preview;
}

export async function insertPreview(
  db: Queryable,
  { urlHash, preview, madeMs }: { urlHash: string; preview: string; madeMs: UnixMs },
): Promise<void> {
  await db`
    insert into url_previews (url_hash, preview, made_ms) values (${urlHash}, ${preview}, ${madeMs})
    on conflict (url_hash) do update set preview = excluded.preview, made_ms = excluded.made_ms`;
}

/** Forgets what was made before a time. @returns how many. */
export async function deletePreviews(
  db: Queryable,
  { beforeMs, limit }: { beforeMs: UnixMs; limit: number },
): Promise<number> {
  const { count } = await db`
    delete from url_previews where url_hash in (
      select url_hash from url_previews where made_ms < ${beforeMs} limit ${limit})`;
  return count;
}
