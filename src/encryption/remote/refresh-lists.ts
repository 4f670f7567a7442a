import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { serverNameOf, type ServerName, type UserId } from "#src/kit/identifiers.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";
import { write } from "#src/streams/write.ts";
import { encryptionStream } from "../encryption-stream.ts";
import { type Failures, serversToAsk, unreachable } from "../remote-keys.ts";
import { askForLists } from "./ask-for-lists.ts";
import { listStandings, type ListStanding } from "./queries-remote-lists.ts";
import type { RemoteList } from "./remote-list.ts";

/** A user whose list has to be asked for. */
type Due = {
  readonly userId: UserId;
  /** If a room is shared with the user, so that we are told of changes, and the list may be kept. */
  readonly keptFor: number | undefined;
  /** When we were last told of a change. */
  readonly changedAt: Position;
  /** Up to where we know what we have been told. */
  readonly seenAt: Position;
};

/** A question that is under way. Its answer is undefined if there is none. */
type Asked = { readonly askedAt: Position; readonly list: Promise<RemoteList | undefined> };

const askedOf = held(() => new Map<UserId, Asked>());

/** Users of one server that are asked about in one request. */
const MOST_USERS = 200;

/**
 * Sees to it that what is stored of the devices of users of other servers is true. Each server is asked
 * once for all of its users whose lists we lack or cannot trust, however many clients want them.
 *
 * @returns the lists of users with whom no room is shared, which are not kept; and which servers did not answer.
 * @spec server-server-api#device-management
 */
export async function refreshLists(
  hs: Homeserver,
  userIds: readonly UserId[],
  timeoutMs: number,
): Promise<{ unshared: ReadonlyMap<UserId, RemoteList>; failures: Failures }> {
  const due = await listsDue(hs, userIds);
  const failed = new Set<ServerName>();
  const unshared = new Map<UserId, RemoteList>();
  const servers = serversToAsk(due.map((it) => serverNameOf(it.userId)));
  const asked = askAll(
    hs,
    due.filter((it) => servers.has(serverNameOf(it.userId))),
    timeoutMs,
  );
  for (const { userId, keptFor } of due) {
    const list = await asked.get(userId);
    if (list && keptFor === undefined) unshared.set(userId, list);
    if (!list) failed.add(serverNameOf(userId));
  }
  return { unshared, failures: unreachable(failed) };
}

async function listsDue(hs: Homeserver, userIds: readonly UserId[]): Promise<Due[]> {
  if (userIds.length === 0) return [];
  const userKeys = await findUserKeys(hs, userIds);
  const rows = await listStandings(hs.sql, [...userKeys.values()]);
  const standings = new Map(rows.map((it) => [it.userKey, it]));
  return userIds.flatMap((userId): Due[] => {
    const standing = standings.get(userKeys.get(userId) ?? -1);
    if (!standing) return [{ userId, keptFor: undefined, changedAt: 0, seenAt: 0 }];
    if (isTrue(standing)) return [];
    const { userKey, sharedSince, changedAt, seenAt } = standing;
    const keptFor = sharedSince === null ? undefined : userKey;
    return [{ userId, keptFor, changedAt: changedAt ?? 0, seenAt }];
  });
}

/** Who shares a room is told of all changes; so since a room has been shared nothing can have been missed. */
function isTrue({ askedAt, isStale, sharedSince }: ListStanding): boolean {
  return askedAt !== null && isStale === false && sharedSince !== null && sharedSince <= askedAt;
}

/** Asks for lists, but for those that have been asked for since they changed. */
function askAll(
  hs: Homeserver,
  due: readonly Due[],
  timeoutMs: number,
): ReadonlyMap<UserId, Asked["list"]> {
  const underWay = askedOf(hs);
  const fresh = due.filter(({ userId, changedAt }) => {
    const asked = underWay.get(userId);
    return !asked || asked.askedAt < changedAt;
  });
  for (const [server, its] of Map.groupBy(fresh, (it) => serverNameOf(it.userId))) {
    for (let from = 0; from < its.length; from += MOST_USERS) {
      const some = its.slice(from, from + MOST_USERS);
      const lists = askAndKeep(hs, server, some, timeoutMs);
      for (const { userId, seenAt: askedAt } of some) {
        void remembered(underWay, userId, { askedAt, list: lists.then((all) => all?.get(userId)) });
      }
    }
  }
  return new Map(due.flatMap(({ userId }) => listOf(userId, underWay.get(userId))));
}

/** Remembers a question until there is an answer. */
async function remembered(
  underWay: Map<UserId, Asked>,
  userId: UserId,
  asked: Asked,
): Promise<void> {
  underWay.set(userId, asked);
  // Whoever has asked hears of a failure.
  await asked.list.catch(() => {});
  if (underWay.get(userId) === asked) underWay.delete(userId);
}

function listOf(userId: UserId, asked: Asked | undefined): [UserId, Asked["list"]][] {
  return asked ? [[userId, asked.list]] : [];
}

async function askAndKeep(
  hs: Homeserver,
  server: ServerName,
  due: readonly Due[],
  timeoutMs: number,
): Promise<ReadonlyMap<UserId, RemoteList> | undefined> {
  const userIds = due.map((it) => it.userId);
  const lists = await askForLists(hs, server, { userIds, timeoutMs });
  if (!lists) return undefined;
  await Promise.all(
    due.map(async ({ userId, keptFor: userKey, seenAt: askedAt }) => {
      const list = lists.get(userId);
      if (userKey === undefined || !list) return;
      await write(hs, encryptionStream, { kind: "remote-list", userKey, list, askedAt });
    }),
  );
  return lists;
}
