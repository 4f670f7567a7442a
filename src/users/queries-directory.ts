import type { Tx } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { advancePlace } from "#src/streams/advance-place.ts";
import { type ShownProfile, shownProfile } from "./profile.ts";

/** A room that may have become open to anybody, or not be so any more. */
export type MovedRoom = { readonly room_key: number; readonly position: Position };

/** What a user of another server has become in a room, and the event that says so. */
export type MovedMember = {
  readonly user_key: number;
  readonly room_key: number;
  readonly user_id: UserId;
  readonly membership: string;
  readonly position: Position;
  readonly json: string;
};

/** Where one has come to with members: their order is by these. */
export type MemberPlace = Pick<MovedMember, "position" | "user_key" | "room_key">;

const FOLLOWER = "user-directory";

/** How far the directory has come, and how far the streams have. */
export async function directoryProgress(
  hs: Homeserver,
): Promise<{ readonly done: Position; readonly upTo: Position }> {
  const [row] = await hs.sql<{ done: Position; upTo: Position }[]>`
    select coalesce((select position from stream_followers where name = ${FOLLOWER}), 0) as done,
      position as "upTo"
    from positions where id = 1`;
  return row ?? { done: 0, upTo: 0 };
}

/** The next rooms whose openness may have changed: what decides it has, or somebody of ours has come or gone. */
export async function nextRooms(
  hs: Homeserver,
  { done, upTo }: { readonly done: Position; readonly upTo: Position },
  limit: number,
): Promise<MovedRoom[]> {
  return await hs.sql<MovedRoom[]>`
    select room_key, event_key as position from events
    where event_key > ${done} and event_key <= ${upTo} and status = 0
      and type in ('m.room.join_rules', 'm.room.history_visibility') and state_key = ''
    union
    select room_key, position from memberships
    where position > ${done} and position <= ${upTo} and local and membership <> 'invite'
    order by position limit ${limit}`;
}

/** Those of some rooms that anybody of this server is in. */
export async function residedRooms(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<Set<number>> {
  if (roomKeys.length === 0) return new Set();
  const rows = await hs.sql<{ room_key: number }[]>`
    select room_key from unnest(${roomKeys}::bigint[]) as wanted (room_key)
    where exists (select from memberships
      where memberships.room_key = wanted.room_key and membership = 'join' and local offset 0)`;
  return new Set(rows.map((it) => it.room_key));
}

/**
 * The next users of other servers who have become another in a room. By the room's state, and not by events: of a
 * room that we come to nobody sends those of its members.
 */
export async function nextMembers(
  hs: Homeserver,
  { after, upTo }: { readonly after: MemberPlace; readonly upTo: Position },
  limit: number,
): Promise<MovedMember[]> {
  return await hs.sql<MovedMember[]>`
    select memberships.user_key, memberships.room_key, user_id, membership, position, json
    from memberships join users using (user_key) join events using (event_key)
    where position >= ${after.position} and position <= ${upTo} and not memberships.local
      and (position, memberships.user_key, memberships.room_key)
        > (${after.position}, ${after.user_key}, ${after.room_key})
    order by position, memberships.user_key, memberships.room_key limit ${limit}`;
}

/** Notes how far the directory has come. @returns false if another process has been quicker. */
export async function advanceDirectory(
  tx: Tx,
  range: { readonly from: Position; readonly to: Position },
): Promise<boolean> {
  return await advancePlace(tx, FOLLOWER, range);
}

/** Sets which of some rooms are open to anybody. */
export async function setOpenRooms(tx: Tx, openness: ReadonlyMap<number, boolean>): Promise<void> {
  const open = [...openness].flatMap(([roomKey, isOpen]) => (isOpen ? [roomKey] : []));
  const closed = [...openness].flatMap(([roomKey, isOpen]) => (isOpen ? [] : [roomKey]));
  await tx`
    insert into open_rooms (room_key) select unnest(${open}::bigint[]) on conflict do nothing`;
  await tx`delete from open_rooms where room_key = any(${closed}::bigint[])`;
}

/** Which of some rooms the directory takes to be open to anybody. */
export async function knownOpenRooms(
  hs: Homeserver,
  roomKeys: readonly number[],
): Promise<Set<number>> {
  const rows = await hs.sql<{ room_key: number }[]>`
    select room_key from open_rooms where room_key = any(${roomKeys}::bigint[])`;
  return new Set(rows.map((it) => it.room_key));
}

/** What a member event says of a user of another server. */
export type RemoteName = {
  readonly userKey: number;
  readonly displayname: string | null;
  readonly avatarUrl: string | null;
  readonly words: readonly string[];
  /** Whether a room that is open to anybody says it: what others say is not taken instead. */
  readonly isOpen: boolean;
};

/** Takes in what rooms say of users of other servers: of each user once. */
export async function storeRemoteNames(tx: Tx, names: readonly RemoteName[]): Promise<void> {
  if (names.length === 0) return;
  const taken = await tx<{ user_key: number }[]>`
    insert into remote_profiles (user_key, displayname, avatar_url, is_open)
    select unnest(${names.map((it) => it.userKey)}::bigint[]),
      unnest(${names.map((it) => it.displayname)}::text[]), unnest(${names.map((it) => it.avatarUrl)}::text[]),
      unnest(${names.map((it) => String(it.isOpen))}::text[]::boolean[])
    on conflict (user_key) do update set displayname = excluded.displayname,
      avatar_url = excluded.avatar_url, is_open = excluded.is_open
      where excluded.is_open or not remote_profiles.is_open
    returning user_key`;
  const keys = new Set(taken.map((it) => it.user_key));
  const pairs = names
    .filter((it) => keys.has(it.userKey))
    .flatMap(({ userKey, words }) => words.map((word) => ({ userKey, word })));
  await tx`delete from directory_words where user_key = any(${[...keys]}::bigint[])`;
  await tx`
    insert into directory_words (user_key, word)
    select unnest(${pairs.map((it) => it.userKey)}::bigint[]), unnest(${pairs.map((it) => it.word)}::text[])
    on conflict do nothing`;
}

/** The name and picture of a user of another server as rooms that anybody may look into show them, if any does. */
export async function remoteNameOf(
  hs: Homeserver,
  userId: UserId,
): Promise<ShownProfile | undefined> {
  const [row] = await hs.sql<{ displayname: string | null; avatar_url: string | null }[]>`
    select displayname, avatar_url from remote_profiles join users using (user_key)
    where user_id = ${userId} and is_open`;
  return row && shownProfile(row);
}

/** Forgets those of some users of other servers who are in no room any longer. */
export async function forgetAbsent(tx: Tx, userKeys: readonly number[]): Promise<void> {
  if (userKeys.length === 0) return;
  await tx`
    with absent as (
      select user_key from unnest(${userKeys}::bigint[]) as gone (user_key)
      where not exists (
        select 1 from memberships
        where memberships.user_key = gone.user_key and membership = 'join')
    ), words as (
      delete from directory_words where user_key in (select user_key from absent)
    )
    delete from remote_profiles where user_key in (select user_key from absent)`;
}
