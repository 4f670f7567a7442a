import { type RoomSummary, summariesOfRooms } from "#src/directory/room-summary.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { RoomId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { rememberRoom, type Room } from "#src/rooms/find-room.ts";
import { shownContent } from "#src/rooms/shown-content.ts";
import { entriesOfStates } from "#src/rooms/state-map/read-entries.ts";
import { pairsOf } from "#src/rooms/state-slots.ts";
import { roomsHere } from "./queries-spaces.ts";
import { inOrder, SPACE, type SpaceChild, viaOf } from "./space-child.ts";

/** A room as a hierarchy has it. */
export type TreeRoom = {
  readonly summary: RoomSummary;
  /** None if it is no space. */
  readonly children: readonly SpaceChild[];
};

/** A room that this server is in. */
export type RoomHere = TreeRoom & { readonly root: number };

/** Keys of the events that say which children a space has, by the root of its state: that never changes. */
const childKeysOf = held(() => lru<number, readonly number[]>(10_000));

/** Those of some rooms that this server is in, with their children if they are spaces. */
export async function findRoomsHere(
  hs: Homeserver,
  roomIds: readonly RoomId[],
): Promise<Map<RoomId, RoomHere>> {
  if (roomIds.length === 0) return new Map();
  const rooms = (await roomsHere(hs.sql, roomIds)).map((row) => ({
    ...rememberRoom(hs, row),
    root: row.state_root,
  }));
  const summaries = await summariesOfRooms(hs, rooms);
  const spaces = rooms.filter((it) => summaries.get(it.roomKey)?.room_type === SPACE);
  const children = await childrenOf(hs, spaces);
  return new Map(
    rooms.flatMap(({ roomId, roomKey, root }) => {
      const summary = summaries.get(roomKey);
      const its = children.get(roomKey) ?? [];
      return summary ? [[roomId, { summary, children: its, root }]] : [];
    }),
  );
}

async function childrenOf(
  hs: Homeserver,
  spaces: readonly (Room & { readonly root: number })[],
): Promise<Map<number, SpaceChild[]>> {
  const keys = await childKeys(
    hs,
    spaces.map((it) => it.root),
  );
  const events = await eventsOf(hs, [...keys.values()].flat());
  return new Map(
    spaces.map(({ roomKey, root, rules }) => {
      const children = (keys.get(root) ?? []).flatMap((key): SpaceChild[] => {
        const event = events.get(key);
        if (event?.stateKey === undefined || !event.stateKey.startsWith("!")) return [];
        const { stateKey, sender, originServerTs } = event;
        return [
          {
            type: "m.space.child",
            state_key: stateKey as RoomId,
            content: shownContent(event, rules),
            sender,
            origin_server_ts: originServerTs,
          },
        ];
      });
      return [roomKey, inOrder(children.filter((it) => viaOf(it).length > 0))];
    }),
  );
}

async function childKeys(
  hs: Homeserver,
  roots: readonly number[],
): Promise<ReadonlyMap<number, readonly number[]>> {
  const known = childKeysOf(hs);
  const unknown = roots.filter((it) => known.peek(it) === undefined);
  for (const [root, { slots, events }] of await entriesOfStates(hs, hs.sql, unknown)) {
    const pairs = await pairsOf(hs, slots);
    const isChild = (index: number) => pairs.get(slots[index] ?? -1)?.[0] === "m.space.child";
    known.set(
      root,
      events.filter((_, index) => isChild(index)),
    );
  }
  return new Map(roots.map((root) => [root, known.get(root) ?? []]));
}
