import { changeAccountData, NO_ROOM } from "#src/account-data/account-data.ts";
import { copyTags } from "#src/account-data/tags.ts";
import { isInDirectory, moveInDirectory } from "#src/directory/room-aliases.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { isRoomId, type RoomId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import type { Requester } from "#src/kit/requester.ts";
import { copyRulesOfRoom } from "#src/push-rules/copy-rules.ts";
import { changePushRules, userPushRulesOf } from "#src/push-rules/stored-push-rules.ts";
import { stateEvent } from "#src/rooms/current-state.ts";
import { findRoom, type Room } from "#src/rooms/find-room.ts";
import { membershipOf } from "#src/rooms/memberships.ts";

/**
 * Has a user who has come into a room that takes the place of another, as both say or they themselves, find it as they
 * left that: with their tags, their push rules, and among their direct chats; and under the aliases that that had here.
 * The join stands whatever becomes of this.
 *
 * @spec client-server-api#room-upgrades
 */
export async function inheritSettings(
  hs: Homeserver,
  user: Requester,
  roomId: RoomId,
): Promise<void> {
  try {
    const room = await findRoom(hs, roomId);
    const predecessor = room && (await predecessorOf(hs, room));
    if (!predecessor) return;
    const isAgreed = await isReplacedBy(hs, predecessor, roomId);
    if (isAgreed) await inheritPlace(hs, predecessor, room);
    // As long as only the new room says so, it may be anybody's: whoever has made it need not be told.
    if (!isAgreed && (await makerOf(hs, room)) !== user.userId) return;
    if ((await membershipOf(hs, user.userKey, predecessor.roomKey)) === undefined) return;
    await copyTags(hs, user.userKey, { from: predecessor.roomKey, to: room.roomKey });
    await inheritRules(hs, user, { from: predecessor.roomId, to: roomId });
    await changeAccountData(hs, user, { roomKey: NO_ROOM, type: "m.direct" }, (current) =>
      withSuccessor(current, { from: predecessor.roomId, to: roomId }),
    );
  } catch (error) {
    const { userId } = user;
    hs.log.error({ err: error, userId, roomId }, "settings of an upgraded room were not copied");
  }
}

/** Of which rooms rooms say that they take their place, by the keys of these; null of those that say nothing. That never changes. */
const predecessorsOf = held(() => lru<number, { readonly roomId: RoomId | null }>(10_000));

/** The room that a room says it takes the place of, if this server knows it. */
async function predecessorOf(hs: Homeserver, { roomKey, roomId }: Room): Promise<Room | undefined> {
  const known = predecessorsOf(hs);
  let said = known.get(roomKey);
  if (!said) {
    const create = await stateEvent(hs, roomKey, "m.room.create", "");
    if (!create) return undefined;
    said = { roomId: namedIn(create.content["predecessor"]) };
    known.set(roomKey, said);
  }
  const before = said.roomId;
  return before !== null && before !== roomId ? await findRoom(hs, before) : undefined;
}

function namedIn(predecessor: unknown): RoomId | null {
  if (typeof predecessor !== "object" || predecessor === null) return null;
  const { room_id: before } = predecessor as Record<string, unknown>;
  return isRoomId(before) ? before : null;
}

/** Whether a room says itself that another takes its place. */
async function isReplacedBy(hs: Homeserver, old: Room, roomId: RoomId): Promise<boolean> {
  const tombstone = await stateEvent(hs, old.roomKey, "m.room.tombstone", "");
  return tombstone?.redactedBy === undefined && tombstone?.content["replacement_room"] === roomId;
}

async function makerOf(hs: Homeserver, { roomKey }: Room): Promise<string | undefined> {
  return (await stateEvent(hs, roomKey, "m.room.create", ""))?.sender;
}

/**
 * Moves what this server's directory says of a room to the one that takes its place. Of an upgrade on this server that
 * is done already.
 */
async function inheritPlace(hs: Homeserver, old: Room, { roomKey }: Room): Promise<void> {
  if (!(await isInDirectory(hs, old.roomKey))) return;
  await hs.sql.begin(async (tx) => {
    await moveInDirectory(tx, { from: old.roomKey, to: roomKey });
  });
}

type Move = { readonly from: RoomId; readonly to: RoomId };

async function inheritRules(hs: Homeserver, { userKey }: Requester, move: Move): Promise<void> {
  const rules = await userPushRulesOf(hs, userKey);
  if (copyRulesOfRoom(rules, move) === rules) return;
  await changePushRules(hs, userKey, (current) => copyRulesOfRoom(current, move));
}

/** Which rooms are whose direct chats, with the new one wherever the old one is; undefined if that is nowhere. */
function withSuccessor(direct: unknown, { from, to }: Move): object | undefined {
  if (typeof direct !== "object" || direct === null) return undefined;
  const chats = Object.entries(direct);
  const isOld = (rooms: unknown) =>
    Array.isArray(rooms) && rooms.includes(from) && !rooms.includes(to);
  if (!chats.some(([, rooms]) => isOld(rooms))) return undefined;
  return Object.fromEntries(
    chats.map(([user, rooms]) => [user, isOld(rooms) ? [...(rooms as unknown[]), to] : rooms]),
  );
}
