import { setImmediate as nextTurn } from "node:timers/promises";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { write } from "#src/streams/write.ts";
import { eventsStream } from "../events-stream.ts";
import type { Room } from "../find-room.ts";
import { forgetHead } from "../room-head.ts";
import { assessEvents } from "./assess-events.ts";
import { headOf } from "./head-of.ts";
import { inOrder } from "./in-order.ts";
import type { ReceivedEvent } from "./received-event.ts";
import type { ReceivedWrite, ReceivedWritten } from "./received-write.ts";
import { keepingStill } from "./room-turns.ts";
import { settleHistory } from "./settle-events.ts";

/** How many events are stored in one transaction, so that others do not wait long for the lane. */
const CHUNK = 400;

/**
 * Stores events that are wanted only because others name them: auth chains, and states that another
 * server gave. They get no place in the room, and nobody is told of them. Each is checked against its
 * own auth events, which have to be among those given or stored before.
 *
 * @returns the IDs of those that could not be judged, since auth events of theirs are not known.
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export async function storeOutliers(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
): Promise<EventId[]> {
  const unverifiable: EventId[] = [];
  const distinct = [...new Map(events.map((it) => [it.event.event_id, it])).values()];
  const ordered = inOrder(distinct);
  for (let at = 0; at < ordered.length; at += CHUNK) {
    unverifiable.push(...(await storeChunk(hs, room, ordered.slice(at, at + CHUNK))));
    await nextTurn();
  }
  return unverifiable;
}

async function storeChunk(
  hs: Homeserver,
  room: Room,
  events: readonly ReceivedEvent[],
): Promise<readonly EventId[]> {
  for (let isRetry = false; ; isRetry = true) {
    const head = await headOf(hs, room);
    const { assessed, unverifiable } = await assessEvents(hs, room, events, {
      states: { head, given: new Map() },
      asOutliers: true,
    });
    if (assessed.length === 0) return unverifiable;
    const it: ReceivedWrite = {
      room,
      as: "live",
      assessed,
      settlement: settleHistory(head, { assessed, waiting: undefined }),
      ...(isRetry && { settleInLane: true }),
    };
    const own = async () => (await write(hs, eventsStream, it)) as ReceivedWritten;
    const written = isRetry ? await keepingStill(hs, room.roomKey, own) : await own();
    if (!written.stale) return unverifiable;
    forgetHead(hs, room.roomKey);
  }
}
