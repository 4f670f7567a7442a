import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { lru } from "#src/kit/lru.ts";
import { EVENTS, MemberMoved } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { tailOf } from "#src/streams/tail.ts";
import { roomsOfUsers, roomsWithFewer } from "./queries-presence.ts";

/** Whether rooms have few members, until somebody comes or goes. */
const knownOf = held((hs) => {
  const known = lru<number, boolean>(50_000);
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, roomKey, detail } of changes) {
        if (stream !== EVENTS || roomKey === undefined) continue;
        const isMember = detail instanceof StoredEvent && detail.type === "m.room.member";
        if (isMember || detail instanceof MemberMoved) known.delete(roomKey);
      }
    },
    missed: () => known.clear(),
  });
  return known;
});

/**
 * Those of some rooms in which presence is shared: not those with many members, where everybody's coming
 * and going would be news for everybody.
 */
export async function smallRooms(
  hs: Homeserver,
  roomKeys: Iterable<number>,
): Promise<ReadonlySet<number>> {
  const known = knownOf(hs);
  const small = new Set<number>();
  const unknown: number[] = [];
  for (const roomKey of roomKeys) {
    const isSmall = known.get(roomKey);
    if (isSmall === undefined) unknown.push(roomKey);
    else if (isSmall) small.add(roomKey);
  }
  if (unknown.length === 0) return small;
  const found = new Set(
    await roomsWithFewer(hs.sql, unknown, hs.config.presence.maxRoomMembers + 1),
  );
  for (const roomKey of unknown) {
    known.set(roomKey, found.has(roomKey));
    if (found.has(roomKey)) small.add(roomKey);
  }
  return small;
}

/** The rooms in which users share their presence, by the users' keys. */
export async function smallRoomsOfUsers(
  hs: Homeserver,
  userKeys: readonly number[],
): Promise<ReadonlyMap<number, readonly number[]>> {
  const rows = await roomsOfUsers(hs.sql, userKeys);
  const small = await smallRooms(hs, new Set(rows.map((it) => it.roomKey)));
  const shared = rows.filter((it) => small.has(it.roomKey));
  return new Map(
    [...Map.groupBy(shared, (it) => it.userKey)].map(([userKey, its]) => [
      userKey,
      its.map((it) => it.roomKey),
    ]),
  );
}
