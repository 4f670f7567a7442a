import type { Queryable } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";

/** Stores a filter, if the user has not got it, and forgets all but some number of the user's newest. */
export async function insertFilter(
  db: Queryable,
  row: {
    readonly userKey: number;
    readonly filterId: string;
    readonly json: string;
    readonly now: UnixMs;
  },
  most: number,
): Promise<void> {
  await db`
    with forgotten as (
      delete from filters where (user_key, filter_id) in (
        select user_key, filter_id from filters
        where user_key = ${row.userKey} and filter_id <> ${row.filterId}
        order by created_ms desc offset ${most - 1})
    )
    insert into filters (user_key, filter_id, json, created_ms)
    values (${row.userKey}, ${row.filterId}, ${row.json}, ${row.now})
    on conflict (user_key, filter_id) do update set created_ms = excluded.created_ms`;
}

export async function filterById(
  db: Queryable,
  userKey: number,
  filterId: string,
): Promise<string | undefined> {
  const [row] = await db<{ json: string }[]>`
    select json from filters where user_key = ${userKey} and filter_id = ${filterId}`;
  return row?.json;
}

export async function deleteFilters(db: Queryable, userKey: number): Promise<void> {
  await db`delete from filters where user_key = ${userKey}`;
}
