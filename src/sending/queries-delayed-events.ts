import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import type { DelayedEvent } from "./delayed-event.ts";

export type NewDelayedEvent = Pick<
  DelayedEvent,
  "delayId" | "userKey" | "deviceKey" | "roomKey" | "type" | "content" | "delayMs" | "scheduledMs"
> & {
  readonly stateKey: string | undefined;
  readonly txnId: string | undefined;
  readonly stickyMs: number | undefined;
};

/** All columns, and what is shown of the keys. */
const selectAll = (db: Queryable) => db`
  select delay_id as "delayId", it.user_key as "userKey", users.user_id as "userId",
    device_key as "deviceKey", it.room_key as "roomKey", rooms.room_id as "roomId", type,
    state_key as "stateKey", content, delay_ms as "delayMs", sticky_ms as "stickyMs", scheduled_ms as "scheduledMs",
    ended_ms as "endedMs", event_id as "eventId", error
  from delayed_events as it join users using (user_key) join rooms using (room_key)`;

/** Keeps a delayed event, unless the same request has made one before. @returns the ID of the one that there is. */
export async function insertDelayedEvent(db: Queryable, it: NewDelayedEvent): Promise<string> {
  const [row] = await db<{ delay_id: string }[]>`
    insert into delayed_events as known (delay_id, user_key, device_key, room_key, type, state_key,
      txn_id, content, delay_ms, sticky_ms, scheduled_ms, due_ms)
    values (${it.delayId}, ${it.userKey}, ${it.deviceKey}, ${it.roomKey}, ${it.type},
      ${it.stateKey ?? null}, ${it.txnId ?? null}, ${it.content}, ${it.delayMs}, ${it.stickyMs ?? null}, ${it.scheduledMs},
      ${it.scheduledMs + it.delayMs})
    on conflict (device_key, txn_id, room_key, type) where txn_id is not null
      do update set txn_id = known.txn_id
    returning delay_id`;
  return row?.delay_id ?? it.delayId;
}

/** The ID of the delayed event that a request has made before. */
export async function delayIdOfTransaction(
  db: Queryable,
  it: Pick<NewDelayedEvent, "deviceKey" | "roomKey" | "type"> & { readonly txnId: string },
): Promise<string | undefined> {
  const [row] = await db<{ delay_id: string }[]>`
    select delay_id from delayed_events
    where device_key = ${it.deviceKey} and txn_id = ${it.txnId} and room_key = ${it.roomKey}
      and type = ${it.type}`;
  return row?.delay_id;
}

/** How many events of a user wait, and when the next of them is due. */
export async function waitingOfUser(
  db: Queryable,
  userKey: number,
): Promise<{ count: number; nextMs: UnixMs | null }> {
  const [row] = await db<{ count: number; nextMs: UnixMs | null }[]>`
    select count(*) as count, min(due_ms) as "nextMs" from delayed_events
    where user_key = ${userKey} and ended_ms is null`;
  return row ?? { count: 0, nextMs: null };
}

export async function delayedEventById(
  db: Queryable,
  delayId: string,
): Promise<DelayedEvent | undefined> {
  const [row] = await db<DelayedEvent[]>`${selectAll(db)} where delay_id = ${delayId}`;
  return row;
}

/** Those of a user that wait, the next first; or those that have ended, the latest first. */
export async function delayedEventsOf(
  db: Queryable,
  userKey: number,
  { ended, limit }: { readonly ended: boolean; readonly limit: number },
): Promise<readonly DelayedEvent[]> {
  if (ended) {
    return await db<DelayedEvent[]>`
      ${selectAll(db)} where it.user_key = ${userKey} and ended_ms is not null
      order by ended_ms desc, delayed_key desc limit ${limit}`;
  }
  return await db<DelayedEvent[]>`
    ${selectAll(db)} where it.user_key = ${userKey} and ended_ms is null
    order by due_ms, delayed_key limit ${limit}`;
}

type Lease = { readonly nowMs: UnixMs; readonly untilMs: UnixMs; readonly limit: number };

/**
 * Takes on events that are due and that no process is about to send: of a room none while another process has one that
 * is due earlier. One process asks at a time; others get none meanwhile, and need none.
 *
 * @param not the keys of rooms of which none are wanted.
 */
export async function leaseDue(
  tx: Tx,
  { nowMs, untilMs, limit, not }: Lease & { readonly not: readonly number[] },
): Promise<readonly DelayedEvent[]> {
  const [turn] = await tx<{ mine: boolean }[]>`
    select pg_try_advisory_xact_lock(hashtext('archipel delayed events')) as mine`;
  if (!turn?.mine) return [];
  const leased = await tx<{ delayId: string }[]>`
    update delayed_events as due set leased_until_ms = ${untilMs}
    where delayed_key in (
      select delayed_key from delayed_events as waiting
      where ended_ms is null and due_ms <= ${nowMs} and leased_until_ms <= ${nowMs}
        and room_key <> all(${not}::bigint[]) and not exists (${earlierIn(tx, nowMs)})
      order by due_ms, delayed_key limit ${limit})
    returning delay_id as "delayId"`;
  if (leased.length === 0) return [];
  return await tx<DelayedEvent[]>`
    ${selectAll(tx)} where delay_id = any(${leased.map((it) => it.delayId)}::text[])
    order by due_ms, delayed_key`;
}

/** What is due earlier in the room of one that waits, and somebody is about to send. */
function earlierIn(db: Queryable, nowMs: UnixMs) {
  return db`
    select from delayed_events as earlier
    where earlier.room_key = waiting.room_key and earlier.ended_ms is null
      and earlier.due_ms <= waiting.due_ms and earlier.leased_until_ms > ${nowMs}`;
}

/** Takes on one that waits, to send it now. @returns whether it can be had. */
export async function leaseOne(
  db: Queryable,
  delayId: string,
  { nowMs, untilMs }: Omit<Lease, "limit">,
): Promise<boolean> {
  const { count } = await db`
    update delayed_events set leased_until_ms = ${untilMs}
    where delay_id = ${delayId} and ended_ms is null and leased_until_ms <= ${nowMs}`;
  return count > 0;
}

/** Gives one back that was not sent. */
export async function giveBack(db: Queryable, delayId: string, dueMs?: UnixMs): Promise<void> {
  await db`
    update delayed_events set leased_until_ms = 0, due_ms = coalesce(${dueMs ?? null}, due_ms)
    where delay_id = ${delayId} and ended_ms is null`;
}

/** Notes what became of one. @returns whether it was still to end. */
export async function endDelayedEvent(
  db: Queryable,
  delayId: string,
  end: { readonly endedMs: UnixMs; readonly eventId?: string; readonly error?: string },
): Promise<boolean> {
  const { count } = await db`
    update delayed_events
    set ended_ms = ${end.endedMs}, event_id = ${end.eventId ?? null}, error = ${end.error ?? null}
    where delay_id = ${delayId} and ended_ms is null`;
  return count > 0;
}

/** Cancels one that waits and that nobody is about to send. @returns whether it was. */
export async function cancelWaiting(
  db: Queryable,
  delayId: string,
  nowMs: UnixMs,
): Promise<boolean> {
  const { count } = await db`
    update delayed_events set ended_ms = ${nowMs}
    where delay_id = ${delayId} and ended_ms is null and leased_until_ms <= ${nowMs}`;
  return count > 0;
}

/** Puts one off that waits and that nobody is about to send. @returns whether it was. */
export async function restartWaiting(
  db: Queryable,
  delayId: string,
  nowMs: UnixMs,
): Promise<boolean> {
  const { count } = await db`
    update delayed_events set scheduled_ms = ${nowMs}, due_ms = ${nowMs}::bigint + delay_ms
    where delay_id = ${delayId} and ended_ms is null and leased_until_ms <= ${nowMs}`;
  return count > 0;
}

/**
 * When the next is due that nobody is about to send, or the first of those leases ends that others have of what is due.
 *
 * @param not the keys of rooms that do not count.
 */
export async function nextDue(
  db: Queryable,
  { nowMs, not }: { readonly nowMs: UnixMs; readonly not: readonly number[] },
): Promise<UnixMs | undefined> {
  const [row] = await db<{ dueMs: UnixMs | null }[]>`
    select least(
      (select due_ms from delayed_events as waiting
        where ended_ms is null and leased_until_ms <= ${nowMs} and room_key <> all(${not}::bigint[])
          and not exists (${earlierIn(db, nowMs)})
        order by due_ms limit 1),
      (select min(leased_until_ms) from delayed_events
        where ended_ms is null and due_ms <= ${nowMs} and leased_until_ms > ${nowMs}
          and room_key <> all(${not}::bigint[]))) as "dueMs"`;
  return row?.dueMs ?? undefined;
}

/** Forgets what ended before a time, and of each user all but the latest. @returns how many. */
export async function deleteEnded(
  db: Queryable,
  { beforeMs, kept, limit }: { beforeMs: UnixMs; kept: number; limit: number },
): Promise<number> {
  const { count } = await db`
    delete from delayed_events where delayed_key in (
      select delayed_key from (
        select delayed_key, ended_ms, row_number() over (partition by user_key order by ended_ms desc) as place
        from delayed_events where ended_ms is not null) as ended
      where ended_ms < ${beforeMs} or place > ${kept} limit ${limit})`;
  return count;
}
