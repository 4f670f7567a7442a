import type { Queryable } from "#src/homeserver/database.ts";
import type { Job } from "./job.ts";

/** Makes the rows of jobs that have none. They are due at once. */
export async function insertJobs(sql: Queryable, names: readonly string[]): Promise<void> {
  await sql`
    insert into jobs (name) select unnest(${names}::text[]) on conflict do nothing`;
}

/**
 * Leases the jobs that are due and that no living process has. Processes that ask at the same time
 * get different ones. One that would be due later than ever by its own measure is due: the clock has been set back.
 */
export async function leaseDueJobs(
  sql: Queryable,
  jobs: readonly Pick<Job, "name" | "everyMs">[],
  { holder, leaseMs }: { holder: string; leaseMs: number },
): Promise<{ name: string; failures: number }[]> {
  return await sql<{ name: string; failures: number }[]>`
    with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now),
    asked as (
      select * from unnest(${jobs.map((it) => it.name)}::text[], ${jobs.map((it) => it.everyMs)}::bigint[])
        as asked (name, every_ms)
    ),
    due as (
      select name from jobs join asked using (name)
      where (due_at_ms <= (select now from clock) or due_at_ms > (select now from clock) + every_ms)
        and leased_until_ms <= (select now from clock)
      for update of jobs skip locked
    )
    update jobs set holder = ${holder}, leased_until_ms = clock.now + ${leaseMs}::bigint
    from due, clock where jobs.name = due.name
    returning jobs.name, jobs.failures`;
}

/** Makes a lease last longer. @returns whether it was still the holder's. */
export async function renewLease(
  sql: Queryable,
  name: string,
  { holder, leaseMs }: { holder: string; leaseMs: number },
): Promise<boolean> {
  const renewed = await sql`
    update jobs
    set leased_until_ms = (extract(epoch from clock_timestamp()) * 1000)::bigint + ${leaseMs}::bigint
    where name = ${name} and holder = ${holder}`;
  return renewed.count === 1;
}

/** A job that has been run, and when it is to be run again. */
export type Returned = {
  readonly name: string;
  /** From now. */
  readonly waitMs: number;
  readonly failures: number;
};

/** Gives jobs back, to be run again after a wait. Leaves those alone that another process has taken over. */
export async function giveBack(
  sql: Queryable,
  holder: string,
  returned: readonly Returned[],
): Promise<void> {
  await sql`
    update jobs set holder = null, leased_until_ms = 0, failures = returned.failures,
      due_at_ms = (extract(epoch from clock_timestamp()) * 1000)::bigint + returned.wait_ms
    from unnest(${returned.map((it) => it.name)}::text[], ${returned.map((it) => it.waitMs)}::bigint[],
      ${returned.map((it) => it.failures)}::int[]) as returned (name, wait_ms, failures)
    where jobs.name = returned.name and holder = ${holder}`;
}
