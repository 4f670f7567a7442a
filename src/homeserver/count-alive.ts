import type { Sql } from "./sql.ts";

/** For how long a process is taken to be alive after it has been seen. */
export const ALIVE_SECONDS = 60;

/** How many processes are alive on a database. */
export async function countAlive(sql: Sql): Promise<number> {
  const [row] = await sql<{ alive: number }[]>`
    select count(*) as alive from processes
    where seen_at > now() - ${ALIVE_SECONDS} * interval '1 second'`;
  return row?.alive ?? 0;
}
