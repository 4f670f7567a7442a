import type { Appservice } from "#src/config/appservice.ts";
import { includes, looksAfterUser } from "#src/config/registered-appservices.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { someOfStatesAt } from "#src/rooms/current-state.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { aliasesOfRooms, type LocalMember, localMembers, roomsJoinedBy } from "./queries-news.ts";

/** Why an application service is told of what happens in some rooms. */
type RoomInterest = {
  /** Those in its namespaces, by ID or alias: of all in them. */
  readonly claimed: ReadonlySet<number>;
  /** The users that it looks after who are or were in them. */
  readonly members: ReadonlyMap<number, readonly LocalMember[]>;
};

async function interestIn(
  hs: Homeserver,
  appservice: Appservice,
  roomKeys: ReadonlySet<number>,
): Promise<RoomInterest> {
  const keys = [...roomKeys];
  if (keys.length === 0) return { claimed: new Set(), members: new Map() };
  const [rooms, aliases, members] = await Promise.all([
    roomsByKeys(hs, keys),
    appservice.aliases.length === 0 ? [] : aliasesOfRooms(hs.sql, keys),
    localMembers(hs.sql, keys),
  ]);
  const byId = [...rooms.values()].filter((it) => includes(appservice.rooms, it.roomId));
  const byAlias = aliases.filter((it) => includes(appservice.aliases, it.alias));
  const own = members.filter((it) => looksAfterUser(hs.config, appservice, it.userId));
  return {
    claimed: new Set([...byId, ...byAlias].map((it) => it.roomKey)),
    members: Map.groupBy(own, (it) => it.roomKey),
  };
}

/**
 * Those of some events that an application service is told of: what happens in the rooms of its namespaces, what its
 * users do, what is done to them, and what happens where one of them is joined, at the time of the event.
 *
 * @param events with when they became known.
 * @spec application-service-api#pushing-events
 */
export async function eventsOfInterest(
  hs: Homeserver,
  appservice: Appservice,
  events: readonly { readonly event: StoredEvent; readonly at: number }[],
): Promise<readonly StoredEvent[]> {
  const roomKeys = new Set(events.map((it) => it.event.roomKey));
  const { claimed, members } = await interestIn(hs, appservice, roomKeys);
  const isOwn = (userId: string | undefined) =>
    userId !== undefined && looksAfterUser(hs.config, appservice, userId);
  const isPlain = (it: StoredEvent) =>
    claimed.has(it.roomKey) ||
    isOwn(it.sender) ||
    (it.type === "m.room.member" && isOwn(it.stateKey));

  const open = events.flatMap(({ event, at }) => {
    const own = members.get(event.roomKey) ?? [];
    // Who has been joined since before is joined at the event; what others were then, the state there says.
    const isIn = own.some((it) => it.isJoined && it.position <= at);
    return isPlain(event) || isIn ? [] : [{ event, moved: own.filter((it) => it.position > at) }];
  });
  const wasIn = await joinedAt(hs, open);
  const closed = new Set(open.map((it) => it.event).filter((it) => !wasIn.has(it)));
  return events.map((it) => it.event).filter((it) => !closed.has(it));
}

/** Those of some events at which one of some users was joined. */
async function joinedAt(
  hs: Homeserver,
  open: readonly { readonly event: StoredEvent; readonly moved: readonly LocalMember[] }[],
): Promise<ReadonlySet<StoredEvent>> {
  const unclear = open.filter((it) => it.moved.length > 0);
  if (unclear.length === 0) return new Set();
  const pairOf = (it: LocalMember): StatePair => ["m.room.member", it.userId];
  const pairs = new Map(
    unclear.flatMap((it) => it.moved.map((one) => [one.userId, pairOf(one)] as const)),
  );
  const roots = new Set(unclear.flatMap((it) => it.event.stateBefore ?? []));
  const states = await someOfStatesAt(hs, roots, [...pairs.values()]);
  const isJoined = (event: StoredEvent, member: LocalMember) =>
    states.get(event.stateBefore ?? -1)?.get(pairKey(...pairOf(member)))?.content["membership"] ===
    "join";
  return new Set(
    unclear.filter((it) => it.moved.some((one) => isJoined(it.event, one))).map((it) => it.event),
  );
}

/** Those of some rooms of which an application service is told what happens now. */
export async function roomsOfInterest(
  hs: Homeserver,
  appservice: Appservice,
  roomKeys: ReadonlySet<number>,
): Promise<ReadonlySet<number>> {
  const { claimed, members } = await interestIn(hs, appservice, roomKeys);
  const joined = [...members].filter(([, its]) => its.some((it) => it.isJoined));
  return new Set([...claimed, ...joined.map(([roomKey]) => roomKey)]);
}

/**
 * Those of some users who share a room with one that an application service looks after, by their keys.
 *
 * @param among which rooms count; all if left out.
 */
export async function usersOfInterest(
  hs: Homeserver,
  appservice: Appservice,
  userKeys: readonly number[],
  among: (roomKeys: ReadonlySet<number>) => Promise<ReadonlySet<number>> = async (it) =>
    await Promise.resolve(it),
): Promise<ReadonlySet<number>> {
  if (userKeys.length === 0) return new Set();
  const joined = await roomsJoinedBy(hs.sql, userKeys);
  const rooms = await among(new Set(joined.map((it) => it.roomKey)));
  const { members } = await interestIn(hs, appservice, rooms);
  const shared = (roomKey: number) => (members.get(roomKey) ?? []).some((it) => it.isJoined);
  return new Set(joined.filter((it) => shared(it.roomKey)).map((it) => it.userKey));
}
