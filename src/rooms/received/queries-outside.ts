import type { Queryable, Tx } from "#src/homeserver/database.ts";
import type { ServerName } from "#src/kit/identifiers.ts";

/** Those of some rooms that somebody of this server is in. */
export async function residentRooms(
  db: Queryable,
  roomKeys: readonly number[],
): Promise<ReadonlySet<number>> {
  const rows = await db<{ room_key: number }[]>`
    select distinct room_key from memberships
    where room_key = any(${roomKeys}::bigint[]) and membership = 'join' and local`;
  return new Set(rows.map((it) => it.room_key));
}

/** A user, and a room. */
export type InRoom = { readonly userKey: number; readonly roomKey: number };

/** By which member events users are invited to rooms, those of some that are. */
export async function invitationsOf(
  db: Queryable,
  its: readonly InRoom[],
): Promise<readonly (InRoom & { readonly eventKey: number })[]> {
  return await db<(InRoom & { eventKey: number })[]>`
    select user_key as "userKey", room_key as "roomKey", event_key as "eventKey"
    from memberships join unnest(${its.map((it) => it.userKey)}::bigint[],
      ${its.map((it) => it.roomKey)}::bigint[]) as asked (user_key, room_key) using (user_key, room_key)
    where membership = 'invite'`;
}

/** What another server has told of a room, for an invitation or in answer to a knock. */
export type ToldOfRoom = {
  /** Stripped state events, for the user. */
  readonly strippedState: readonly unknown[];
  readonly by: ServerName;
};

type Told = {
  readonly userKey: number;
  readonly roomKey: number;
  readonly eventKey: number;
  /** Undefined if there is nothing to tell: the user is out. */
  readonly told: ToldOfRoom | undefined;
};

/** Keeps what users are told of rooms from outside, and forgets it of those that they are out of. */
export function storeInvites(lane: Tx, its: readonly Told[]): void {
  const told = its.filter((it) => it.told !== undefined);
  const out = its.filter((it) => it.told === undefined);
  if (out.length > 0) {
    void lane`
      delete from received_invites using unnest(${out.map((it) => it.userKey)}::bigint[],
        ${out.map((it) => it.roomKey)}::bigint[]) as gone (user_key, room_key)
      where received_invites.user_key = gone.user_key and received_invites.room_key = gone.room_key`;
  }
  if (told.length === 0) return;
  void lane`
    insert into received_invites (user_key, room_key, event_key, stripped_state, told_by)
    select unnest(${told.map((it) => it.userKey)}::bigint[]), unnest(${told.map((it) => it.roomKey)}::bigint[]),
      unnest(${told.map((it) => it.eventKey)}::bigint[]),
      unnest(${told.map((it) => JSON.stringify(it.told?.strippedState))}::text[]),
      unnest(${told.map((it) => it.told?.by ?? "")}::text[])
    on conflict (user_key, room_key) do update
    set event_key = excluded.event_key, stripped_state = excluded.stripped_state,
      told_by = excluded.told_by`;
}

/** Lets whoever works on the state of rooms see that something was stored in them. */
export function touchRooms(lane: Tx, roomKeys: readonly number[]): void {
  void lane`
    update rooms set head_version = head_version + 1 where room_key = any(${roomKeys}::bigint[])`;
}
