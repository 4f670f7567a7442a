import type { Queryable, Sql } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { FOLLOWER } from "./follower-name.ts";

// Statements that lock several rows lock them by their names, so that none waits for another that waits for it.

/** A destination that is this process's now. */
export type Leased = {
  readonly serverName: ServerName;
  /** Everything that it is owed up to here it has taken. */
  readonly takenUpTo: Position;
  readonly failures: number;
};

export type Lease = { readonly holder: string; readonly leaseMs: number };

type LeasedRow = {
  server_name: ServerName;
  taken_up_to: Position;
  owed_up_to: Position;
  failures: number;
  followed_up_to: Position;
};

/** What is not marked as owed up to where the follower is has been taken, or was never owed. */
function leasedOf(row: LeasedRow): Leased {
  const { server_name, taken_up_to, owed_up_to, failures, followed_up_to } = row;
  const takenUpTo = taken_up_to >= owed_up_to ? Math.max(taken_up_to, followed_up_to) : taken_up_to;
  return { serverName: server_name, takenUpTo, failures };
}

/**
 * Leases those of some destinations that no living process has. Those that are to be tried again later are
 * left alone, unless they have just been heard of.
 */
export async function leaseNamed(
  sql: Sql,
  names: readonly ServerName[],
  { holder, leaseMs, heard }: Lease & { readonly heard: boolean },
): Promise<Leased[]> {
  const rows = await sql<LeasedRow[]>`
    with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now),
    followed as (
      select coalesce(max(position), 0) as position from stream_followers where name = ${FOLLOWER}
    )
    insert into destinations as known (server_name, taken_up_to, owed_up_to, holder, leased_until_ms)
    select server_name, followed.position, followed.position, ${holder}, clock.now + ${leaseMs}::bigint
    from unnest(${names.toSorted()}::text[]) as wanted (server_name), clock, followed
    on conflict (server_name) do update
    set holder = excluded.holder, leased_until_ms = excluded.leased_until_ms
    where known.leased_until_ms <= excluded.leased_until_ms - ${leaseMs}::bigint
      and (${heard} or known.retry_at_ms <= excluded.leased_until_ms - ${leaseMs}::bigint)
    returning server_name, taken_up_to, owed_up_to, failures,
      (select position from followed) as followed_up_to`;
  return rows.map(leasedOf);
}

/**
 * Leases destinations that are owed something, may be tried now, and that no living process has; then those that the holder
 * has itself, and may have overlooked.
 */
export async function leaseOwed(
  sql: Sql,
  {
    holder,
    leaseMs,
    most,
    longestWaitMs,
  }: Lease & { readonly most: number; readonly longestWaitMs: number },
): Promise<Leased[]> {
  const rows = await sql<LeasedRow[]>`
    with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now),
    followed as (
      select coalesce(max(position), 0) as position from stream_followers where name = ${FOLLOWER}
    ),
    owed as (
      select server_name from destinations
      where owed_up_to > taken_up_to
        and (retry_at_ms <= (select now from clock)
          or retry_at_ms > (select now from clock) + ${longestWaitMs}::bigint)
        and (leased_until_ms <= (select now from clock) or holder = ${holder})
      order by holder is not distinct from ${holder}, taken_up_to, server_name
      limit ${most} for update skip locked
    )
    update destinations set holder = ${holder}, leased_until_ms = clock.now + ${leaseMs}::bigint
    from owed, clock, followed where destinations.server_name = owed.server_name
    returning destinations.server_name, taken_up_to, owed_up_to, failures,
      followed.position as followed_up_to`;
  return rows.map(leasedOf);
}

/** A destination that is behind, or does not answer. */
export type Trouble = {
  readonly serverName: ServerName;
  /** How far it is behind, as far as is written down; 0 or less if it has taken everything. */
  readonly behind: number;
  /** For how long it has not answered. Null if it does. */
  readonly failingMs: number | null;
  /** In how long it is to be tried again; 0 or less if it may be tried now. */
  readonly retryInMs: number;
};

export async function troubledDestinations(sql: Queryable): Promise<Trouble[]> {
  return await sql<Trouble[]>`
    with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now)
    select server_name as "serverName", owed_up_to - taken_up_to as behind,
      clock.now - failing_since_ms as "failingMs", retry_at_ms - clock.now as "retryInMs"
    from destinations, clock
    where owed_up_to > taken_up_to or failing_since_ms is not null`;
}

/** Makes leases last longer. @returns those that were still the holder's. */
export async function renewLeases(
  sql: Sql,
  names: readonly ServerName[],
  { holder, leaseMs }: Lease,
): Promise<Set<ServerName>> {
  const rows = await sql<{ server_name: ServerName }[]>`
    with own as (
      select server_name from destinations
      where server_name = any(${names}::text[]) and holder = ${holder}
      order by server_name for update
    )
    update destinations
    set leased_until_ms = (extract(epoch from clock_timestamp()) * 1000)::bigint + ${leaseMs}::bigint
    from own where destinations.server_name = own.server_name
    returning destinations.server_name`;
  return new Set(rows.map((it) => it.server_name));
}

export type Taken = {
  readonly serverName: ServerName;
  readonly takenUpTo: Position;
  /** How often in a row it has failed, up to now. */
  readonly failures: number;
};

/** Records how far destinations have come: of those that the holder has. */
export async function saveTaken(
  sql: Sql,
  its: readonly Taken[],
  { holder }: Pick<Lease, "holder">,
): Promise<void> {
  await sql`
    with own as (
      select server_name, position, new.failures from destinations
      join unnest(${its.map((it) => it.serverName)}::text[], ${its.map((it) => it.takenUpTo)}::bigint[],
        ${its.map((it) => it.failures)}::int[]) as new (server_name, position, failures) using (server_name)
      where holder = ${holder}
      order by server_name for update of destinations
    )
    update destinations
    set taken_up_to = greatest(taken_up_to, own.position), failures = own.failures, retry_at_ms = 0,
      failing_since_ms = case when own.failures > 0 then failing_since_ms end
    from own where destinations.server_name = own.server_name`;
}

export type Returned = Taken & {
  /** Up to where it is owed something for certain, if it failed. */
  readonly owedUpTo: Position;
  /** How long it is to be left alone. */
  readonly waitMs: number;
};

/** Gives destinations back, for whoever comes next; of those that the holder has. */
export async function giveBack(
  sql: Sql,
  its: readonly Returned[],
  { holder }: Pick<Lease, "holder">,
): Promise<void> {
  await sql`
    with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now),
    own as (
      select server_name, new.position, new.owed, new.failures, new.wait_ms from destinations
      join unnest(${its.map((it) => it.serverName)}::text[], ${its.map((it) => it.takenUpTo)}::bigint[],
        ${its.map((it) => it.owedUpTo)}::bigint[], ${its.map((it) => it.failures)}::int[],
        ${its.map((it) => it.waitMs)}::bigint[])
        as new (server_name, position, owed, failures, wait_ms) using (server_name)
      where holder = ${holder}
      order by server_name for update of destinations
    )
    update destinations
    set holder = null, leased_until_ms = 0, taken_up_to = greatest(taken_up_to, own.position),
      owed_up_to = greatest(owed_up_to, own.owed), failures = own.failures,
      retry_at_ms = case when own.wait_ms > 0 then clock.now + own.wait_ms else 0 end,
      failing_since_ms = case when own.failures > 0 then coalesce(failing_since_ms, clock.now) end
    from own, clock where destinations.server_name = own.server_name`;
}
