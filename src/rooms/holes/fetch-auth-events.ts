import { withAnswerMemory } from "#src/homeserver/answer-memory.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import type { Room } from "../find-room.ts";
import type { ReceivedEvent } from "../received/received-event.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { MOST_SERVERS, optionsOf, type Sources } from "./sources.ts";
import { type Naming, withUnknown } from "./with-unknown.ts";

/** Of how many events at a time it is looked what they lack still: an answer may bring something for no more than one. */
const LOOKED_AT_ONCE = 20;

/** Asks for what authorises events and is not known, and stores it. */
export async function fetchAuthEvents(
  hs: Homeserver,
  room: Room,
  all: ReadonlyMap<EventId, ReceivedEvent>,
  sources: Sources,
): Promise<void> {
  const names = "auth_events";
  let left = await withUnknown(hs, room, { all, names });
  for (const server of sources.servers.slice(0, MOST_SERVERS)) {
    // What leads from one event leads mostly from the others too, so they are asked about in turn.
    let isAnswering = true;
    for (let at = 0; at < left.length && isAnswering; at += LOOKED_AT_ONCE) {
      const which = left.slice(at, at + LOOKED_AT_ONCE);
      isAnswering = await fetchFor(hs, room, { server, naming: { all, names, which } }, sources);
    }
    if (left.length > 0) left = await withUnknown(hs, room, { all, names, which: left });
  }
}

/** Asks a server for what authorises some events. @returns whether it has given what was asked for. */
async function fetchFor(
  hs: Homeserver,
  room: Room,
  { server, naming }: { readonly server: ServerName; readonly naming: Naming },
  sources: Sources,
): Promise<boolean> {
  let [first] = await withUnknown(hs, room, naming);
  while (first) {
    const question = { roomId: room.roomId, eventId: first.event.event_id };
    const isGiven = await withAnswerMemory(hs, async (memory) => {
      const options = { ...optionsOf(sources), memory };
      const answer = await sources.remotes.getEventAuth(server, question, options);
      if (!answer.ok) return false;
      const chain = await checkedOfRoom(hs, room, answer.body.auth_chain, sources);
      await storeOutliers(hs, room, chain);
      return true;
    });
    if (!isGiven) return false;
    const left = await withUnknown(hs, room, naming);
    if (left.includes(first)) return false;
    [first] = left;
  }
  return true;
}
