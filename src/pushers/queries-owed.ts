import type { Queryable } from "#src/homeserver/database.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { OwedPusher } from "./pusher.ts";

/** How long a process has for pushers that it has taken on. */
const LEASE_MS = 90_000;

/** Takes on pushers that are owed something and that nobody is about; but none of a locked account. */
export async function leaseOwed(
  db: Queryable,
  { holder, most }: { readonly holder: string; readonly most: number },
): Promise<readonly OwedPusher[]> {
  return await db<OwedPusher[]>`
    with clock as (select (extract(epoch from clock_timestamp()) * 1000)::bigint as now),
    due as (
      select pusher_key from pushers
      where owed_up_to > pushed_up_to and is_enabled and due_ms <= (select now from clock)
        and leased_until_ms <= (select now from clock)
        and (kind <> 'email' or confirmed_ms is not null)
        and not exists (select from accounts where accounts.user_key = pushers.user_key and is_locked)
      order by due_ms limit ${most} for update skip locked
    )
    update pushers set holder = ${holder}, leased_until_ms = clock.now + ${LEASE_MS}::bigint
    from due, clock, users
    where pushers.pusher_key = due.pusher_key and users.user_key = pushers.user_key
    returning pushers.pusher_key as "pusherKey", pushers.user_key as "userKey", user_id as "userId",
      app_id as "appId", pushkey, kind, lang, data, set_ms as "setMs", owed_up_to as "owedUpTo",
      pushed_up_to as "pushedUpTo", told_unread as "toldUnread", failures,
      mailed_ms as "mailedMs", mail_gap_ms as "mailGapMs"`;
}

/** How far a user has been told, and if that failed, when it is tried again. */
export type Returned = {
  readonly pusherKey: number;
  readonly upTo: Position;
  readonly unread: number | null;
  readonly mailedMs: number;
  readonly mailGapMs: number;
  readonly failures: number;
  /** From now. */
  readonly waitMs: number;
};

/** Writes down how far users have been told, and gives the pushers back. What another has taken on is left to it. */
export async function giveBack(
  db: Queryable,
  holder: string,
  told: readonly Returned[],
): Promise<void> {
  if (told.length === 0) return;
  await db`
    with ours as (
      select pusher_key from pushers
      where pusher_key = any(${told.map((it) => it.pusherKey)}::bigint[]) and holder = ${holder}
      order by pusher_key for update
    )
    update pushers set holder = null, leased_until_ms = 0, failures = told.failures,
      pushed_up_to = greatest(pushed_up_to, told.up_to), told_unread = told.unread,
      mailed_ms = told.mailed_ms, mail_gap_ms = told.mail_gap_ms,
      due_ms = case when told.wait_ms = 0 then 0
        else (extract(epoch from clock_timestamp()) * 1000)::bigint + told.wait_ms end
    from unnest(${told.map((it) => it.pusherKey)}::bigint[], ${told.map((it) => it.upTo)}::bigint[],
      ${told.map((it) => it.unread)}::bigint[], ${told.map((it) => it.failures)}::bigint[],
      ${told.map((it) => it.waitMs)}::bigint[], ${told.map((it) => it.mailedMs)}::bigint[],
      ${told.map((it) => it.mailGapMs)}::bigint[])
      as told (pusher_key, up_to, unread, failures, wait_ms, mailed_ms, mail_gap_ms)
      join ours using (pusher_key)
    where pushers.pusher_key = told.pusher_key`;
}

/** Deletes pushers of which the gateway says that there is nobody, unless they have been set anew meanwhile. */
export async function deleteRejected(db: Queryable, gone: OwedPusher): Promise<void> {
  await db`
    delete from pushers where pusher_key = ${gone.pusherKey} and set_ms = ${gone.setMs}`;
}

/** An event that may concern the user of a pusher. */
export type OwedEvent = {
  readonly pusherKey: number;
  readonly roomKey: number;
  readonly eventKey: number;
  /** When it came. */
  readonly position: Position;
};

/**
 * What has come in users' rooms after they were told last, and their invitations; of each the first ones, in order.
 */
export async function owedEvents(
  db: Queryable,
  pushers: readonly OwedPusher[],
  most: number,
): Promise<readonly OwedEvent[]> {
  return await db<OwedEvent[]>`
    select pusher_key as "pusherKey", owed.room_key as "roomKey", owed.event_key as "eventKey",
      owed.position
    from unnest(${pushers.map((it) => it.pusherKey)}::bigint[], ${pushers.map((it) => it.userKey)}::bigint[],
      ${pushers.map((it) => it.pushedUpTo)}::bigint[], ${pushers.map((it) => it.owedUpTo)}::bigint[])
      as pusher (pusher_key, user_key, after, up_to)
    cross join lateral (
      (select events.room_key, events.event_key, events.anchor as position
      from memberships join rooms on rooms.room_key = memberships.room_key and last_position > pusher.after
      join events on events.room_key = memberships.room_key
        and anchor > pusher.after and anchor <= pusher.up_to
        and anchor_offset = 0 and status = 0 and sender_key <> pusher.user_key
      where memberships.user_key = pusher.user_key and membership = 'join'
      order by anchor limit ${most})
      union all
      (select room_key, event_key, position from memberships
      where memberships.user_key = pusher.user_key and membership = 'invite'
        and position > pusher.after and position <= pusher.up_to
      order by position limit ${most})
      order by position limit ${most}
    ) as owed
    order by pusher_key, owed.position`;
}

/** How far the marking of what is owed has come. */
export async function markedUpTo(db: Queryable, follower: string): Promise<Position> {
  const [row] = await db<{ position: Position }[]>`
    select position from stream_followers where name = ${follower}`;
  return row?.position ?? 0;
}
