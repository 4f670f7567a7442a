import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import type { Change } from "#src/streams/stream.ts";
import { wholeProfile } from "./profile.ts";
import { PROFILES, type ProfileDetail } from "./profiles-stream.ts";
import { fieldsOfContacts, profilesByKeys, usersInRooms } from "./queries-profile-changes.ts";

/** What of somebody's profile a client is told. */
export type ProfileNews = {
  readonly userId: UserId;
  /** What fields are now. */
  readonly updated: Readonly<Record<string, unknown>>;
  /** The names of fields that were taken away. */
  readonly removed: readonly string[];
};

/** What profiles are asked for. */
export type ProfileQuestion = {
  readonly userKey: number;
  /** The names of the fields that are wanted; undefined for all. */
  readonly fields: ReadonlySet<string> | undefined;
  /** The rooms that the user is joined to. */
  readonly rooms: ReadonlyMap<number, unknown>;
  /** Those of whose members the client knows nothing. */
  readonly newRooms: Iterable<number>;
  /** Further users of whom it knows nothing. */
  readonly newUsers?: Iterable<number>;
  /** All that has happened in the range, if that is in memory. */
  readonly changes: readonly Change[] | undefined;
};

/**
 * What those with whom a user shares a room have changed of their profiles in a range of positions, as far as their servers
 * tell, the user's own too; and the whole profiles of those whom the client does not know.
 */
export async function profileNews(
  hs: Homeserver,
  question: ProfileQuestion,
  range: { readonly after: Position; readonly upTo: Position },
): Promise<readonly ProfileNews[]> {
  const { userKey, fields, rooms, newRooms, newUsers = [], changes } = question;
  const changed = changes
    ? changedIn(changes, question)
    : grouped(await fieldsOfContacts(hs.sql, userKey, { ...range, rooms: [...rooms.keys()] }));
  const roomKeys = [...newRooms];
  const whole = new Set(newUsers);
  if (roomKeys.length > 0) {
    for (const it of await usersInRooms(hs.sql, roomKeys)) whole.add(it);
  }
  const keys = new Set([...changed.keys(), ...whole]);
  if (keys.size === 0) return [];
  const isWanted = (field: string) => fields?.has(field) ?? true;
  const news = (await profilesByKeys(hs.sql, [...keys])).map((row) => {
    const profile = new Map(Object.entries(wholeProfile(row)));
    const its = changed.get(row.userKey) ?? new Set();
    const told = whole.has(row.userKey) ? profile.keys() : its;
    const updated = [...told].filter((it) => isWanted(it) && profile.has(it));
    return {
      userId: row.userId,
      updated: Object.fromEntries(updated.map((it) => [it, profile.get(it)])),
      removed: [...its].filter((it) => isWanted(it) && !profile.has(it)),
    };
  });
  return news.filter((it) => Object.keys(it.updated).length + it.removed.length > 0);
}

function changedIn(
  changes: readonly Change[],
  { userKey, rooms }: ProfileQuestion,
): Map<number, Set<string>> {
  const found = changes.flatMap(({ stream, detail, roomKey, userKey: whose }) => {
    if (stream !== PROFILES || !(whose === userKey || rooms.has(roomKey ?? -1))) return [];
    const { userKey: changer, fields } = detail as ProfileDetail;
    return fields.map((field) => ({ userKey: changer, field }));
  });
  return grouped(found);
}

function grouped(
  fields: readonly { readonly userKey: number; readonly field: string }[],
): Map<number, Set<string>> {
  const byUser = Map.groupBy(fields, (it) => it.userKey);
  return new Map([...byUser].map(([key, its]) => [key, new Set(its.map((it) => it.field))]));
}
