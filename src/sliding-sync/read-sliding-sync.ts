import { ignoredUsersOf } from "#src/account-data/ignored-users.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { roomIdsOf, userRoomsAt } from "#src/rooms/user-rooms.ts";
import { changesFor } from "#src/sync/changes-for.ts";
import { renderAggregated } from "#src/timeline/render-aggregated.ts";
import { askedRooms, type Moment } from "./asked-rooms.ts";
import { ConnectionDraft, type ConnectionState } from "./connection-state.ts";
import type { Connection } from "./connections.ts";
import type { Extension } from "./extensions/extension.ts";
import { type ListedRoom, listedRooms } from "./listed-rooms.ts";
import { noteTold } from "./note-told.ts";
import { readExtensions } from "./read-extensions.ts";
import { readRooms } from "./read-rooms.ts";
import { relevantRooms, type RelevantRooms } from "./relevant-rooms.ts";
import type { SlidingRequest } from "./sliding-request.ts";
import type { RoomAnswer } from "./told-room.ts";
import { countedElsewhere } from "./unread-rooms.ts";

/** All that a client is told at once. */
export type SlidingAnswer = {
  readonly upTo: Position;
  /** The position of the token that the client came with. */
  readonly position: Position | undefined;
  readonly counts: RelevantRooms["counts"];
  readonly rooms: readonly RoomAnswer[];
  readonly extensions: ReadonlyMap<string, Extension>;
  /** The JSON texts of all events of timelines and states. */
  readonly texts: ReadonlyMap<StoredEvent, string>;
  /** What the client has been told if it gets this. */
  readonly state: ConnectionState;
};

/**
 * What has happened that a client wants to hear of since the token of its connection.
 *
 * MSC4186, whose two forms differ in how they are asked and told, and in little else.
 */
export async function readSlidingSync(
  hs: Homeserver,
  request: SlidingRequest,
  connection: Connection,
): Promise<SlidingAnswer> {
  const { requester } = request;
  const { position, state: before } = connection;
  const { rooms: userRooms, upTo } = await userRoomsAt(hs, requester);
  const [roomIds, ignored] = await Promise.all([
    roomIdsOf(hs, userRooms),
    ignoredUsersOf(hs, requester.userKey),
  ]);
  const changes =
    position === undefined
      ? undefined
      : changesFor(hs, requester, userRooms, { after: position, upTo });
  const draft = new ConnectionDraft(before);
  draft.keepRooms((it) => userRooms.has(it));
  const moment: Moment = { draft, position, changes, roomIds };

  const isTold = (roomKey: number) => before.rooms.has(roomKey);
  const listed = await listedRooms(hs, requester, userRooms, { isTold });
  const found = await relevantRooms(hs, request, listed, roomIds);
  const { rooms: relevant, counts, interesting } = found;
  draft.leaveBehind("events", movedElsewhere(listed, relevant, position), position);
  draft.leaveBehind("events", await countedElsewhere(hs, request, relevant, moment), position);
  const asked = await askedRooms(hs, requester.userKey, relevant.values(), moment);
  const { rooms, timelines } = await readRooms(hs, request, asked, {
    ...moment,
    upTo,
    ignored,
    connection,
  });
  noteTold(draft, asked, rooms);

  const expanded = new Set(asked.flatMap((it) => (it.isExpanded ? [it.roomKey] : [])));
  const events = rooms.flatMap((it) => [...(it.timeline?.events ?? []), ...it.stateEvents]);
  const [texts, extensions] = await Promise.all([
    renderAggregated(hs, events, requester, {
      roomId: false,
      standings: userRooms,
      // Whoever has missed nothing knows of what relates to what.
      aggregated: rooms.flatMap(({ timeline }) => (timeline?.limited ? timeline.events : [])),
    }),
    readExtensions(hs, {
      ...moment,
      request,
      upTo,
      userRooms,
      relevant,
      interesting,
      ignored,
      timelines,
      expanded,
    }),
  ]);
  return {
    upTo,
    position,
    counts,
    rooms,
    extensions,
    texts: new Map(events.map((it, index) => [it, texts[index] ?? ""])),
    state: draft.finish(),
  };
}

/** Whether there is nothing to tell that a client waits for. */
export function isEmpty({ rooms, extensions }: SlidingAnswer): boolean {
  return rooms.length === 0 && [...extensions.values()].every((it) => !it.isNews);
}

/** The rooms that a request is not about, and in which something has happened since. */
function movedElsewhere(
  listed: readonly ListedRoom[],
  relevant: RelevantRooms["rooms"],
  position: Position | undefined,
): number[] {
  if (position === undefined) return [];
  const moved: number[] = [];
  for (const { activity, standing, roomKey } of listed) {
    const isMoved = activity > position || standing.position > position;
    if (isMoved && !relevant.has(roomKey)) moved.push(roomKey);
  }
  return moved;
}
