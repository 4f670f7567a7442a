import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { partialRoomsOf } from "#src/rooms/partial/partial-rooms.ts";
import { filterRooms } from "./filter-rooms.ts";
import type { ListedRoom } from "./listed-rooms.ts";
import { unionOf, wantsAllMembers } from "./required-state.ts";
import type { RoomConfig, RoomList, SlidingRequest } from "./sliding-request.ts";

/** A room that a request is about. */
export type RelevantRoom = ListedRoom & {
  readonly config: RoomConfig;
  /** The names of the lists in whose windows it is. */
  readonly lists: readonly string[];
  readonly isSubscribed: boolean;
};

export type RelevantRooms = {
  readonly rooms: ReadonlyMap<number, RelevantRoom>;
  /** How many rooms are in each list, in its windows or not. */
  readonly counts: ReadonlyMap<string, number>;
  /** The rooms, and all others that are in a list. */
  readonly interesting: ReadonlySet<number>;
};

/**
 * The rooms that a request is about: those in the windows of its lists, and those that it names; each with all that
 * any of them wants of it.
 *
 * @param listed the rooms that the client may be told of.
 * @param roomIds the IDs of all the user's rooms.
 * MSC4186: lists, subscriptions, and how what they want is combined.
 */
export async function relevantRooms(
  hs: Homeserver,
  { requester, lists, subscriptions }: SlidingRequest,
  listed: readonly ListedRoom[],
  roomIds: ReadonlyMap<number, string>,
): Promise<RelevantRooms> {
  const counts = new Map<string, number>();
  const interesting = new Set<number>();
  const wishes = new Map<ListedRoom, Wishes>();
  const wishesFor = (room: ListedRoom) => {
    const known = wishes.get(room);
    if (known) return known;
    const made: Wishes = { configs: [], lists: [], isSubscribed: false };
    wishes.set(room, made);
    return made;
  };
  for (const [name, list] of lists) {
    const rooms = await filterRooms(hs, requester, listed, { filters: list.filters, roomIds });
    counts.set(name, rooms.length);
    for (const { roomKey } of rooms) interesting.add(roomKey);
    for (const room of inWindows(list, rooms)) {
      const its = wishesFor(room);
      its.configs.push(list);
      its.lists.push(name);
    }
  }
  if (subscriptions.size > 0) {
    for (const room of listed) {
      const config = subscriptions.get((roomIds.get(room.roomKey) ?? "") as `!${string}`);
      if (!config) continue;
      const its = wishesFor(room);
      its.configs.push(config);
      its.isSubscribed = true;
    }
  }
  const partial = await partialRoomsOf(hs);
  const rooms = new Map<number, RelevantRoom>();
  const configOf = combining();
  for (const [room, its] of wishes) {
    const { lists: names, isSubscribed } = its;
    const config = configOf(its);
    // A client that wants to know all members is told of a room when they are known.
    const isUnknown = partial.has(room.roomKey) && room.standing.membership === "join";
    if (isUnknown && wantsAllMembers(config.requiredState, requester.userId)) continue;
    interesting.add(room.roomKey);
    rooms.set(room.roomKey, { ...room, config, lists: names, isSubscribed });
  }
  return { rooms, counts, interesting };
}

function inWindows({ windows }: RoomList, rooms: readonly ListedRoom[]): Iterable<ListedRoom> {
  if (!windows) return rooms;
  return new Set(windows.flatMap(([from, to]) => rooms.slice(from, to + 1)));
}

type Wishes = { configs: RoomConfig[]; lists: string[]; isSubscribed: boolean };

/** Puts wishes together; those for rooms that are in the same lists once for all of them. */
function combining(): (wishes: Wishes) => RoomConfig {
  const ofLists = new Map<string, RoomConfig>();
  return ({ configs, lists, isSubscribed }) => {
    if (isSubscribed) return combined(configs);
    const key = JSON.stringify(lists);
    const config = ofLists.get(key) ?? combined(configs);
    ofLists.set(key, config);
    return config;
  };
}

function combined(configs: readonly RoomConfig[]): RoomConfig {
  return {
    timelineLimit: Math.max(...configs.map((it) => it.timelineLimit)),
    requiredState: unionOf(configs.map((it) => it.requiredState)),
  };
}
