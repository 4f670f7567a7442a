import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { Position, UnixMs } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Pusher, PusherKind, PusherSettings } from "./pusher.ts";

/** Which pushers: those of one user for one pushkey of an app. */
export type PusherName = {
  readonly userKey: number;
  readonly appId: string;
  readonly pushkey: string;
};

/**
 * Makes a pusher, or changes it. One that is new, or was switched off, begins with what happens next; one that
 * could not be reached is tried again. Where it is merely switched on or off, maybe by another of the user's devices
 * (MSC3881), it stays the device's that it was.
 *
 * @param its among them, how much is unread now.
 */
export async function upsertPusher(
  tx: Tx,
  { userKey, deviceKey }: { readonly userKey: number; readonly deviceKey: number },
  its: PusherSettings & { readonly setMs: UnixMs; readonly unread: number },
): Promise<{ readonly pusherKey: number; readonly isConfirmed: boolean }> {
  const [row] = await tx<{ pusherKey: number; isConfirmed: boolean }[]>`
    insert into pushers as known (user_key, device_key, app_id, pushkey, kind, app_display_name,
      device_display_name, profile_tag, lang, data, is_enabled, set_ms, owed_up_to, pushed_up_to,
      told_unread)
    select ${userKey}, ${deviceKey}, ${its.appId}, ${its.pushkey}, ${its.kind}, ${its.appDisplayName},
      ${its.deviceDisplayName}, ${its.profileTag}, ${its.lang}, ${JSON.stringify(its.data)},
      ${its.isEnabled}, ${its.setMs}, position, position, ${its.unread}
    from positions where id = 1
    on conflict (app_id, pushkey, user_key) do update set
      device_key = case when known.is_enabled = excluded.is_enabled then excluded.device_key
        else known.device_key end,
      kind = excluded.kind,
      app_display_name = excluded.app_display_name,
      device_display_name = excluded.device_display_name, profile_tag = excluded.profile_tag,
      lang = excluded.lang, data = excluded.data, is_enabled = excluded.is_enabled,
      set_ms = excluded.set_ms, failures = 0, due_ms = 0,
      owed_up_to = case when known.is_enabled then known.owed_up_to else excluded.owed_up_to end,
      pushed_up_to = case when known.is_enabled then known.pushed_up_to else excluded.pushed_up_to end,
      told_unread = case when known.is_enabled then known.told_unread else excluded.told_unread end
    returning pusher_key as "pusherKey", confirmed_ms is not null as "isConfirmed"`;
  if (!row) throw new Error("a pusher was neither made nor changed");
  return row;
}

/**
 * Has what is done about a pushkey of an app done one after the other; the device first, which takes its pushers with it when
 * it goes, and then the pushers in the order in which others have them: two that wait for each other would wait for ever.
 *
 * @returns false if the device is gone.
 */
export async function lockPushkey(
  tx: Tx,
  deviceKey: number,
  { appId, pushkey }: Pick<PusherName, "appId" | "pushkey">,
): Promise<boolean> {
  const { count } = await tx`select from devices where device_key = ${deviceKey} for key share`;
  if (count === 0) return false;
  await tx`select pg_advisory_xact_lock(hashtextextended(${`pusher ${appId} ${pushkey}`}, 0))`;
  await tx`
    select from pushers where app_id = ${appId} and pushkey = ${pushkey}
    order by pusher_key for update`;
  return true;
}

/**
 * Deletes the pushers that other users have for a pushkey of an app, but for those by e-mail: everybody may know an
 * address, and whoever has it says themselves what is sent there.
 */
export async function deletePushersOfOthers(tx: Tx, name: PusherName): Promise<void> {
  const { userKey, appId, pushkey } = name;
  await tx`
    delete from pushers
    where app_id = ${appId} and pushkey = ${pushkey} and user_key <> ${userKey} and kind <> 'email'`;
}

export async function deletePusher(db: Queryable, name: PusherName): Promise<void> {
  const { userKey, appId, pushkey } = name;
  await db`
    delete from pushers
    where user_key = ${userKey} and app_id = ${appId} and pushkey = ${pushkey}`;
}

/** How many pushers a user has. */
export async function countPushers(db: Queryable, userKey: number): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    select count(*) from pushers where user_key = ${userKey}`;
  return row?.count ?? 0;
}

type PusherRow = Omit<Pusher, "data" | "kind"> & { readonly data: string; readonly kind: string };

export async function pushersOfUser(db: Queryable, userKey: number): Promise<readonly Pusher[]> {
  const rows = await db<PusherRow[]>`
    select app_id as "appId", pushkey, kind, app_display_name as "appDisplayName",
      device_display_name as "deviceDisplayName", profile_tag as "profileTag", lang, data,
      is_enabled as "isEnabled", device_id as "deviceId"
    from pushers join devices using (device_key)
    where pushers.user_key = ${userKey} order by pusher_key`;
  return rows.map((it) => ({
    ...it,
    kind: it.kind as PusherKind,
    data: JSON.parse(it.data) as Pusher["data"],
  }));
}

/** Whether there are pushers that somebody has to see to. */
export async function arePushers(db: Queryable): Promise<boolean> {
  const [row] = await db<{ any: boolean }[]>`
    select exists (select from pushers where is_enabled) as any`;
  return row?.any === true;
}

/**
 * Marks pushers as owed what happened in a range of positions that concerns their users: events in their rooms,
 * invitations, and that they have read something. Of what happens while an account is locked its user is not told, nor later.
 */
export async function markOwed(tx: Tx, after: Position, upTo: Position): Promise<void> {
  await tx`
    with moved as (
      select distinct room_key from events
      where event_key > ${after} and event_key <= ${upTo} and anchor = event_key and status = 0
      union
      select distinct room_key from events
      where placed_at > ${after} and placed_at <= ${upTo} and anchor_offset = 0 and status = 0
    ), concerned as (
      select user_key from moved cross join lateral (
        select user_key from memberships
        where memberships.room_key = moved.room_key and membership = 'join' and local offset 0) as members
      union
      select user_key from memberships
      where position > ${after} and position <= ${upTo} and membership = 'invite' and local
      union
      select user_key from receipts where position > ${after} and position <= ${upTo}
    ), owed as (
      select pusher_key, is_locked from pushers left join accounts using (user_key)
      where user_key in (select user_key from concerned) and is_enabled and owed_up_to < ${upTo}
        and (kind <> 'email' or confirmed_ms is not null)
      -- As those who give pushers back: two that wait for each other would wait for ever.
      order by pusher_key for update of pushers
    )
    update pushers set owed_up_to = ${upTo},
      pushed_up_to = case when is_locked then ${upTo} when pushed_up_to < owed_up_to then pushed_up_to
        else greatest(pushed_up_to, ${after}) end
    from owed where pushers.pusher_key = owed.pusher_key`;
}

/** How many e-mails a user has asked for at addresses of which nobody has said yet that they want it. */
export async function countUnconfirmed(db: Queryable, userKey: number): Promise<number> {
  const [row] = await db<{ count: number }[]>`
    select count(*) from pushers
    where user_key = ${userKey} and kind = 'email' and confirmed_ms is null`;
  return row?.count ?? 0;
}

/** A pusher by e-mail: whose, and to where. */
export type MailPusher = { readonly userId: UserId; readonly pushkey: string };

export async function mailPusher(
  db: Queryable,
  pusherKey: number,
): Promise<MailPusher | undefined> {
  const [row] = await db<MailPusher[]>`
    select user_id as "userId", pushkey from pushers join users using (user_key)
    where pusher_key = ${pusherKey} and kind = 'email'`;
  return row;
}

/** Notes that whoever has the address wants the e-mails. They begin with what happens next. */
export async function confirmPusher(
  db: Queryable,
  pusherKey: number,
  nowMs: UnixMs,
): Promise<void> {
  await db`
    update pushers set confirmed_ms = ${nowMs}, owed_up_to = position, pushed_up_to = position
    from positions where positions.id = 1 and pusher_key = ${pusherKey} and confirmed_ms is null`;
}

export async function deletePusherByKey(db: Queryable, pusherKey: number): Promise<void> {
  await db`delete from pushers where pusher_key = ${pusherKey}`;
}
