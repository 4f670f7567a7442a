import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { write } from "#src/streams/write.ts";
import { eventsStream } from "../events-stream.ts";
import type { Room } from "../find-room.ts";
import { forgetHead } from "../room-head.ts";
import type { StoredEvent } from "../stored-event.ts";
import { assessEvents, type ReceivedEvent } from "./assess-events.ts";
import { givenStates } from "./given-states.ts";
import { headOf } from "./head-of.ts";
import type { ReceivedWrite, ReceivedWritten } from "./received-write.ts";
import { inTurn } from "./room-turns.ts";
import { settleJoin } from "./settle-events.ts";
import { storeOutliers } from "./store-outliers.ts";

/** What a server that is in a room answers when one of our users joins it. */
export type JoinedState = {
  readonly room: Room;
  /** The state before the join, and all that authorises it. All have passed the checks 1 to 3. */
  readonly stateEvents: readonly ReceivedEvent[];
  readonly authChain: readonly ReceivedEvent[];
  /** The join, as the other server has signed it if it had to. */
  readonly joinEvent: ReceivedEvent;
};

/** What became of a join. */
export type JoinStored =
  | { readonly ok: true; readonly event: StoredEvent }
  /** The state that we were given does not allow the join: then the room is not entered. */
  | { readonly ok: false; readonly reason: string };

/**
 * Stores the state of a room that this server comes to by a join: from now on the room's current state is
 * what it was before the join, and the join. What this server knew of the room from earlier stays, as
 * its past.
 *
 * The state is stored before, as outliers; if this ends in between, the room has not been entered.
 *
 * @spec server-server-api#joining-rooms
 */
export async function storeJoinedState(
  hs: Homeserver,
  { room, stateEvents, authChain, joinEvent }: JoinedState,
): Promise<JoinStored> {
  return await inTurn(hs, room.roomKey, async () => {
    await storeOutliers(hs, room, [...authChain, ...stateEvents]);
    const ids = stateEvents.map((it) => it.event.event_id);
    for (;;) {
      const head = await headOf(hs, room);
      const given = await givenStates(hs, head, new Map([[joinEvent.event.event_id, ids]]));
      const { assessed, known } = await assessEvents(hs, room, [joinEvent], {
        states: { head, given },
      });
      const already = known.get(joinEvent.event.event_id);
      if (already) return { ok: true, event: already };
      const [join] = assessed;
      if (!join) return { ok: false, reason: "its auth events are not known" };
      if (join.decision.outcome !== "accepted") return { ok: false, reason: join.decision.reason };
      const it: ReceivedWrite = { room, as: "live", assessed, settlement: settleJoin(head, join) };
      const written = (await write(hs, eventsStream, it)) as ReceivedWritten;
      if (!written.stale) return resultOf(written.events);
      forgetHead(hs, room.roomKey);
    }
  });
}

function resultOf([event]: readonly StoredEvent[]): JoinStored {
  if (!event) throw new Error("a join was stored without a trace");
  return { ok: true, event };
}
