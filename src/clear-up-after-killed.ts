import { setTimeout as sleep } from "node:timers/promises";
import type { Sql } from "#src/homeserver/database.ts";

/** A connection that has just been closed may be seen for a moment. */
const LINGERING_MS = 100;

/**
 * Ends all leases, and takes all processes for gone, if no other process is on the database. Those that are left are of one
 * that was killed: what it was about nobody else would go on with until they end by themselves, for up to a minute and a
 * half; and this one would work as if it were not alone. To be called by a process that has one connection.
 */
export async function clearUpAfterKilled(sql: Sql): Promise<void> {
  if (!(await isAlone(sql))) {
    await sleep(LINGERING_MS);
    if (!(await isAlone(sql))) return;
  }
  await sql`
    with outbound as (
      update destinations set holder = null, leased_until_ms = 0 where leased_until_ms > 0
    ), told as (
      update pushers set holder = null, leased_until_ms = 0 where leased_until_ms > 0
    ), fed as (
      update appservice_feeds set holder = null, leased_until_ms = 0 where leased_until_ms > 0
    ), run as (
      update jobs set holder = null, leased_until_ms = 0 where leased_until_ms > 0
    ), sent as (
      update delayed_events set leased_until_ms = 0 where leased_until_ms > 0
    ), named as (
      update profile_updates set leased_until_ms = 0 where leased_until_ms > 0
    ), seen as (
      delete from processes
    )
    delete from room_entries`;
}

/** Whether there is no connection of ours besides this one. */
async function isAlone(sql: Sql): Promise<boolean> {
  const others = await sql`
    select from pg_stat_activity
    where datname = current_database() and application_name like 'archipel%' and pid <> pg_backend_pid()
    limit 1`;
  return others.length === 0;
}
