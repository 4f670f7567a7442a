import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { userIdsOf } from "#src/rooms/user-keys.ts";
import { presenceBookOf } from "./known-presence.ts";
import { contentOf, type PresenceContent } from "./presence.ts";
import { ourUsersIn } from "./queries-presence.ts";
import { smallRooms, smallRoomsOfUsers } from "./small-rooms.ts";

/** The presence of a user of ours, and the rooms with whose members it is shared. */
export type OwnPresence = {
  readonly userKey: number;
  readonly told: PresenceContent & { readonly user_id: UserId; readonly last_active_ago: number };
  readonly roomKeys: readonly number[];
};

/** What may be told of those of some users who are ours. */
export async function ownPresence(
  hs: Homeserver,
  userKeys: readonly number[],
): Promise<OwnPresence[]> {
  const all = await Promise.all(userKeys.map(async (it) => await presenceBookOf(hs).of(it)));
  const known = all.flatMap((it) => (it?.local ? [it] : []));
  const keys = known.map((it) => it.userKey);
  const [rooms, userIds] = await Promise.all([smallRoomsOfUsers(hs, keys), userIdsOf(hs, keys)]);
  const now = hs.now();
  return known.flatMap((it) => {
    const [user_id, roomKeys] = [userIds.get(it.userKey), rooms.get(it.userKey)];
    if (user_id === undefined || !roomKeys) return [];
    // Servers, other than clients, are told it of everybody: who was never seen to do anything has just come.
    const told = { last_active_ago: 0, ...contentOf(it, now), user_id };
    return [{ userKey: it.userKey, told, roomKeys }];
  });
}

/** The keys of all of our users who are there. */
export async function ourUsersThere(hs: Homeserver): Promise<number[]> {
  const all = [...(await presenceBookOf(hs).all())];
  return all.filter((it) => it.local && it.state !== "offline").map((it) => it.userKey);
}

/** The same, but of those who share their presence with the members of one of some rooms. */
export async function ourUsersThereIn(
  hs: Homeserver,
  roomKeys: ReadonlySet<number>,
): Promise<number[]> {
  const members = await ourUsersIn(hs.sql, [...(await smallRooms(hs, roomKeys))]);
  const there = new Set(await ourUsersThere(hs));
  return members.filter((it) => there.has(it));
}
