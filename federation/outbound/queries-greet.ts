import { ALIVE_SECONDS } from "#src/homeserver/count-alive.ts";
import type { Sql } from "#src/homeserver/database.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** The servers that are in rooms with us, but for those that have not answered lately. */
export async function serversThere(sql: Sql): Promise<ServerName[]> {
  // From name to name by the index: there are far more rooms than servers.
  const rows = await sql<{ server_name: ServerName }[]>`
    with recursive there (server_name) as (
      (select min(server_name) from room_servers where until is null)
      union all
      select (
        select min(server_name) from room_servers
        where until is null and server_name > there.server_name)
      from there where server_name is not null
    )
    select server_name from there where server_name is not null and not exists (
      select from destinations
      where destinations.server_name = there.server_name and failing_since_ms is not null)`;
  return rows.map((it) => it.server_name);
}

/** Whether one of some processes of the homeserver is alive. */
export async function isOneAlive(sql: Sql, processIds: readonly string[]): Promise<boolean> {
  const { count } = await sql`
    select from processes where process_id = any(${processIds}::text[])
      and seen_at > now() - ${ALIVE_SECONDS} * interval '1 second' limit 1`;
  return count > 0;
}
