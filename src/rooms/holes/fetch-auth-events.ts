import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { MOST_SERVERS, optionsOf, type Sources } from "./sources.ts";
import { withUnknown } from "./with-unknown.ts";

/** Asks for what authorises events and is not known, and stores it. */
export async function fetchAuthEvents(
  hs: Homeserver,
  room: Room,
  all: ReadonlyMap<EventId, ReceivedEvent>,
  sources: Sources,
): Promise<void> {
  const { servers, remotes } = sources;
  for (const server of servers.slice(0, MOST_SERVERS)) {
    // What leads from one event leads mostly from the others too, so they are asked about in turn.
    for (;;) {
      const [unauthorised] = await withUnknown(hs, room, { all, names: "auth_events" });
      if (!unauthorised) return;
      const { event_id } = unauthorised.event;
      const question = { roomId: room.roomId, eventId: event_id };
      const answer = await remotes.getEventAuth(server, question, optionsOf(sources));
      if (!answer.ok) break;
      const chain = await checkedOfRoom(hs, room, answer.body.auth_chain, sources);
      await storeOutliers(hs, room, chain);
      const left = await withUnknown(hs, room, { all, names: "auth_events" });
      if (left.some((it) => it.event.event_id === event_id)) break;
    }
  }
}
