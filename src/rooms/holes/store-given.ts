import { withAnswerMemory } from "#src/homeserver/answer-memory.ts";
import type { AnswerMemory } from "#src/homeserver/ask-options.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Room } from "../find-room.ts";
import { storeOutliers } from "../received/store-outliers.ts";
import { checkedOfRoom } from "./checked-of-room.ts";
import { fetchAuthEvents } from "./fetch-auth-events.ts";
import type { Sources } from "./sources.ts";

/**
 * Stores the events of a state that another server gives, with those that authorise it. What is missing of the latter
 * is asked for: Tuwunel and its kin give those that authorise one event, and not those of its whole state.
 *
 * @param ask asks for the events, which may be large.
 * @param sources who gives them, and is asked for what is missing.
 * @spec server-server-api#get_matrixfederationv1state_idsroomid
 */
export async function storeGiven(
  hs: Homeserver,
  room: Room,
  ask: (memory: AnswerMemory) => Promise<readonly unknown[]>,
  sources: Sources,
): Promise<void> {
  const left = await withAnswerMemory(hs, async (memory) => {
    const events = await checkedOfRoom(hs, room, await ask(memory), sources);
    const unverifiable = new Set(await storeOutliers(hs, room, events));
    const its = events.filter((it) => unverifiable.has(it.event.event_id));
    return new Map(its.map((it) => [it.event.event_id, it]));
  });
  if (left.size === 0) return;
  // Not before that memory is given back: these answers may have to wait for some.
  await fetchAuthEvents(hs, room, left, sources);
  await storeOutliers(hs, room, [...left.values()]);
}
