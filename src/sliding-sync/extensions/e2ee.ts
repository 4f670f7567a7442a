import { keyCountsOf } from "#src/encryption/key-counts.ts";
import { deviceListsSection, keySupplySection } from "#src/encryption/sync-section.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import type { Requester } from "#src/kit/requester.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import type { UserRooms } from "#src/rooms/user-rooms.ts";
import type { Change } from "#src/streams/stream.ts";
import { readSections } from "#src/sync/read-sections.ts";
import { LIVE, noLongerLive, toldUpTo } from "../connection-state.ts";
import type { Around, Extension } from "./extension.ts";

/** MSC3884: whose devices must be asked for anew, and how many keys the device has left. */
export async function e2eeExtension(
  hs: Homeserver,
  {
    request: { requester, extensions },
    draft,
    position,
    upTo,
    changes,
    userRooms,
    roomIds,
  }: Around,
): Promise<Extension | undefined> {
  const told = draft.globals.e2ee;
  if (!extensions.e2ee?.enabled) {
    draft.setGlobals({ e2ee: noLongerLive(told, position) });
    return undefined;
  }
  draft.setGlobals({ e2ee: LIVE });
  const counts = await keyCountsOf(hs, requester.deviceKey);
  const after = toldUpTo(told, position);
  // Who begins follows nobody yet.
  if (after === undefined) return { value: counts, isNews: true };
  const rooms = joinedOf(userRooms, roomIds);
  const { global } = await readSections(
    hs,
    [deviceListsSection, keySupplySection],
    { requester, rooms, newRooms: new Set(), changes: after === position ? changes : undefined },
    { after, upTo },
  );
  const isNews = Object.keys(global).length > 0 || hasEncrypted(requester, changes);
  return { value: { ...counts, ...global }, isNews };
}

/**
 * Whether the device itself has said something encrypted. A client that has a connection for its keys alone backs up those
 * that it has made when there is an answer to that, and else would do so half a minute later, if it is still there.
 */
function hasEncrypted({ deviceKey }: Requester, changes: readonly Change[] | undefined): boolean {
  const said = changes?.map((it) => it.detail) ?? [];
  return said.some(
    (it) =>
      it instanceof StoredEvent && it.deviceKey === deviceKey && it.type === "m.room.encrypted",
  );
}

const joinedIds = new WeakMap<UserRooms, ReadonlyMap<number, RoomId>>();

/** The rooms that a user is joined to. Made once for as long as they stay the same. */
export function joinedOf(
  rooms: UserRooms,
  roomIds: ReadonlyMap<number, string>,
): ReadonlyMap<number, RoomId> {
  let joined = joinedIds.get(rooms);
  if (!joined) {
    joined = new Map(
      [...rooms].flatMap(([key, { membership }]) =>
        membership === "join" ? [[key, (roomIds.get(key) ?? "!") as RoomId] as const] : [],
      ),
    );
    joinedIds.set(rooms, joined);
  }
  return joined;
}
