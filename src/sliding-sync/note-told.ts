import type { AskedRoom } from "./asked-rooms.ts";
import { type ConnectionDraft, LIVE, NOTHING, type ToldRoom } from "./connection-state.ts";
import type { RoomAnswer } from "./told-room.ts";

/** More events than any client asks for. */
const ALL = 1_000_000;

/** Takes note of what a client is told of the rooms that its request is about, if it gets the answer. */
export function noteTold(
  draft: ConnectionDraft,
  asked: readonly AskedRoom[],
  answers: readonly RoomAnswer[],
): void {
  const byRoom = new Map(answers.map((it) => [it.room, it]));
  for (const room of asked) {
    const answer = byRoom.get(room);
    // In others something may have happened that the client does not want to hear of, by what it asks for this time.
    if (!answer && !room.hasMoved && !room.narrower) continue;
    // Who is told of it anew is told anew of all about it.
    const before = (room.since === undefined ? undefined : room.told) ?? UNTOLD;
    draft.setRoom(room.roomKey, {
      ...before,
      // Of what has not moved it knows all, too, if it is told of it.
      events: room.hasMoved || answer ? LIVE : before.events,
      known: answer ? knownAfter(answer, before) : before.known,
      config: draft.indexOf(room.config.requiredState),
      isDm: answer ? room.isDm : before.isDm,
    });
  }
}

const UNTOLD: ToldRoom = {
  events: NOTHING,
  known: 0,
  config: 0,
  isDm: false,
  receipts: NOTHING,
  accountData: NOTHING,
  typing: NOTHING,
  profiles: NOTHING,
};

/** How many of a room's newest events a client then has without a gap. */
function knownAfter({ room, timeline }: RoomAnswer, { known }: ToldRoom): number {
  if (timeline?.limited) return room.limit;
  const isWhole = room.since === undefined || room.isExpanded;
  return isWhole ? ALL : known;
}
