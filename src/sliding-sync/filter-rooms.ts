import { directRoomsOf } from "#src/account-data/direct-rooms.ts";
import { taggedRoomsOf } from "#src/account-data/tagged-rooms.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import type { ListedRoom } from "./listed-rooms.ts";
import { roomFactsOf } from "./room-facts.ts";
import type { ListFilters } from "./sliding-request.ts";
import { roomsInSpaces } from "./space-rooms.ts";

/** The rooms of a list, in their order. @param roomIds the IDs of all the user's rooms. */
export async function filterRooms(
  hs: Homeserver,
  requester: Requester,
  rooms: readonly ListedRoom[],
  { filters, roomIds }: { filters: ListFilters; roomIds: ReadonlyMap<number, string> },
): Promise<readonly ListedRoom[]> {
  const isIn = await predicateOf(hs, requester, rooms, { filters, roomIds });
  return isIn ? rooms.filter(isIn) : rooms;
}

type Predicate = (room: ListedRoom) => boolean;

/** Undefined if all are in. */
async function predicateOf(
  hs: Homeserver,
  requester: Requester,
  rooms: readonly ListedRoom[],
  { filters, roomIds }: { filters: ListFilters; roomIds: ReadonlyMap<number, string> },
): Promise<Predicate | undefined> {
  const { isDm, isEncrypted, isInvited, roomTypes, notRoomTypes, spaces, tags, notTags } = filters;
  const tests: Predicate[] = [];
  const idOf = ({ roomKey }: ListedRoom) => roomIds.get(roomKey) ?? "";
  if (isInvited !== undefined) {
    tests.push(({ standing }) => (standing.membership === "invite") === isInvited);
  }
  if (isDm !== undefined) {
    const direct = await directRoomsOf(hs, requester.userKey);
    tests.push((room) => direct.has(idOf(room)) === isDm);
  }
  if (isEncrypted !== undefined || roomTypes || notRoomTypes) {
    const facts = await roomFactsOf(hs, requester.userKey, rooms);
    tests.push(({ roomKey }) => {
      const { isEncrypted: is = false, type = null } = facts.get(roomKey) ?? {};
      if (isEncrypted !== undefined && is !== isEncrypted) return false;
      return !notRoomTypes?.includes(type) && (!roomTypes || roomTypes.includes(type));
    });
  }
  if (spaces) {
    const wanted = new Set(spaces);
    const joined = rooms.filter((it) => it.standing.membership === "join" && wanted.has(idOf(it)));
    const inside = await roomsInSpaces(
      hs,
      joined.map((it) => it.roomKey),
    );
    tests.push((room) => inside.has(idOf(room)));
  }
  if (tags || notTags) {
    const tagged = await taggedRoomsOf(hs, requester.userKey);
    tests.push(({ roomKey }) => {
      const its = tagged.get(roomKey) ?? new Set();
      return !notTags?.some((it) => its.has(it)) && (!tags || tags.some((it) => its.has(it)));
    });
  }
  return tests.length === 0 ? undefined : (room) => tests.every((it) => it(room));
}
