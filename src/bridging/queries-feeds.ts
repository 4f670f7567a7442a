import type { Queryable, Sql } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";

/** How long a process has for an application service that it has taken on. */
const LEASE_MS = 90_000;

/** What one process is to tell an application service. */
export type Feed = {
  readonly appserviceId: string;
  readonly holder: string;
  readonly toldUpTo: Position;
  readonly lastTxn: number;
  /** The transaction that is on its way; null if none is. */
  readonly body: string | null;
  readonly failures: number;
};

/**
 * For how long what is of an application service that nobody sees to is kept. Another process may know of it that was
 * given its configuration later, or this one may be about to be.
 */
const KEPT_MS = 60 * 60_000;

/** Begins with what happens next, for those that are new; and ends what is of those that have been gone for a while. */
export async function beginFeeds(
  db: Queryable,
  appserviceIds: readonly string[],
  now: UnixMs,
): Promise<void> {
  await db`
    delete from appservice_feeds where appservice_id <> all(${appserviceIds}::text[])
      and greatest(leased_until_ms, due_ms)
        < (extract(epoch from clock_timestamp()) * 1000)::bigint - ${KEPT_MS}::bigint`;
  // From a number that none has had, should one of this name have been here before.
  await db`
    insert into appservice_feeds (appservice_id, told_up_to, last_txn, leased_until_ms)
    select appservice_id, position, ${now}, (extract(epoch from clock_timestamp()) * 1000)::bigint
    from unnest(${appserviceIds}::text[]) as new (appservice_id), positions where id = 1
    on conflict do nothing`;
}

/** Takes on an application service, or keeps it, unless another process has it or it is not yet its time. */
export async function leaseFeed(
  db: Queryable,
  { appserviceId, holder }: Pick<Feed, "appserviceId" | "holder">,
): Promise<Feed | undefined> {
  const [row] = await db<Feed[]>`
    with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now)
    update appservice_feeds set holder = ${holder}, leased_until_ms = clock.now + ${LEASE_MS}::bigint
    from clock
    where appservice_id = ${appserviceId} and due_ms <= clock.now
      and (holder = ${holder} or leased_until_ms <= clock.now)
    returning appservice_id as "appserviceId", holder, told_up_to as "toldUpTo", last_txn as "lastTxn",
      body, failures`;
  return row;
}

/** Lets others take on what a process has. */
export async function releaseFeeds(db: Queryable, holder: string): Promise<void> {
  await db`
    update appservice_feeds set holder = null,
      leased_until_ms = (extract(epoch from clock_timestamp()) * 1000)::bigint
    where holder = ${holder}`;
}

/** A transaction that has been made. */
export type MadeTransaction = {
  readonly body: string;
  readonly upTo: Position;
  readonly deviceKeys: readonly number[];
};

/**
 * Writes down a transaction before it is sent, so that it is the same whoever sends it how often ever.
 *
 * @returns its number; undefined if another process has taken over.
 */
export async function keepTransaction(
  db: Queryable,
  { appserviceId, holder }: Feed,
  made: MadeTransaction,
): Promise<number | undefined> {
  const [row] = await db<{ lastTxn: number }[]>`
    update appservice_feeds set last_txn = last_txn + 1, body = ${made.body},
      body_up_to = ${made.upTo}, body_devices = ${made.deviceKeys}::bigint[]
    where appservice_id = ${appserviceId} and holder = ${holder} and body is null
    returning last_txn as "lastTxn"`;
  return row?.lastTxn;
}

/** Notes that up to a position there was nothing to tell. */
export async function passOver(
  db: Queryable,
  { appserviceId, holder }: Feed,
  upTo: Position,
): Promise<void> {
  await db`
    update appservice_feeds set told_up_to = ${upTo}
    where appservice_id = ${appserviceId} and holder = ${holder} and body is null`;
}

/** Notes that a transaction was taken. The messages to devices in it go. */
export async function endTransaction(sql: Sql, feed: Feed, txn: number): Promise<void> {
  await sql`
    with ended as (
      update appservice_feeds as feed set told_up_to = old.body_up_to, body = null, body_devices = null,
        failures = 0, due_ms = 0
      from appservice_feeds as old
      where feed.appservice_id = ${feed.appserviceId} and old.appservice_id = feed.appservice_id
        and feed.last_txn = ${txn} and feed.body is not null
      returning old.told_up_to, old.body_up_to, old.body_devices
    )
    delete from to_device using ended
    where device_key = any(ended.body_devices) and position > ended.told_up_to
      and position <= ended.body_up_to`;
}

/** Notes that a transaction was not taken, and how long it is left. */
export async function putOff(
  db: Queryable,
  { appserviceId, holder }: Feed,
  { failures, waitMs }: { readonly failures: number; readonly waitMs: number },
): Promise<void> {
  await db`
    update appservice_feeds set failures = ${failures},
      due_ms = (extract(epoch from clock_timestamp()) * 1000)::bigint + ${waitMs}::bigint
    where appservice_id = ${appserviceId} and holder = ${holder}`;
}
