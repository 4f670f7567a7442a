import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { strippedStates } from "#src/rooms/stripped-states.ts";
import { cutAtHoles } from "#src/sync/cut-at-holes.ts";
import { beginAnswer } from "#src/sync/lazy-members.ts";
import { isIgnored, type Timeline, timelinesOf } from "#src/sync/room-timelines.ts";
import type { AskedRoom, Moment } from "./asked-rooms.ts";
import type { ConnectionName } from "./connections.ts";
import { clientOf, withMembers } from "./given-members.ts";
import { requiredStates } from "./required-states.ts";
import { roomProfiles } from "./room-profiles.ts";
import type { SlidingRequest } from "./sliding-request.ts";
import { isNews, type RoomAnswer } from "./told-room.ts";
import { unreadRooms } from "./unread-rooms.ts";

type ReadAt = Moment & {
  readonly upTo: Position;
  readonly ignored: ReadonlySet<string>;
  readonly connection: ConnectionName;
};

/** What there is to tell of the rooms that a request is about, and the timelines that were read. */
export async function readRooms(
  hs: Homeserver,
  request: SlidingRequest,
  asked: readonly AskedRoom[],
  at: ReadAt,
): Promise<{ rooms: RoomAnswer[]; timelines: ReadonlyMap<number, Timeline> }> {
  const { requester, isDeployed } = request;
  const { upTo, ignored, connection } = at;
  beginAnswer(hs, clientOf(connection), { at: at.position, upTo });
  const open = asked.filter((it) => it.hasMoved || it.isExpanded || it.narrower);
  const inside = open.filter((it) => !it.isStripped);

  // Only after a gap do deployed clients look for events that are older than theirs; else they put them at the end.
  const asGap = (it: AskedRoom) => (isDeployed && it.isExpanded ? { ...it, hasMissed: true } : it);
  const read = await timelinesOf(
    hs,
    inside.filter((it) => it.hasMoved || it.isExpanded).map(asGap),
    { requester, upTo, wanted: (it) => !isIgnored(it, ignored) },
  );
  const timelines = await cutAtHoles(hs, read);
  const shown = inside.filter((it) => !it.isOutside);
  const outside = open.filter((it) => it.isStripped || it.isOutside);
  const [states, stripped, unread] = await Promise.all([
    requiredStates(hs, shown, { timelines, upTo }),
    strippedStates(hs, requester.userKey, outside, { dated: true }),
    unreadRooms(hs, request, asked, at),
  ]);
  const profiles = await roomProfiles(hs, requester.userKey, inside, states);
  const rooms = asked.map((room) => {
    const { roomKey } = room;
    const timeline = timelines.get(roomKey);
    const state = states.get(roomKey);
    return {
      room,
      timeline,
      state,
      stateEvents: state?.events ?? ownMembers(room, timeline),
      profile: profiles.get(roomKey),
      unread: unread.get(roomKey),
      stripped: stripped.get(roomKey),
    };
  });
  return {
    rooms: rooms.filter(isNews).map((it) => withMembers(hs, connection, it, upTo)),
    timelines,
  };
}

/** Who was never in a room is told of nothing but what they themselves have become. */
function ownMembers({ isOutside }: AskedRoom, timeline: Timeline | undefined): StoredEvent[] {
  return timeline && isOutside ? timeline.events.filter((it) => it.type === "m.room.member") : [];
}
