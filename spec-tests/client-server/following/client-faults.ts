import type { ClientEvent } from "../../answers.ts";
import type { KnownRoom } from "./known-room.ts";
import { SeenHistory } from "./room-history.ts";

/** What is wrong with what a client knows that has heard of everything, if its user is in the room. */
export function faultsOf(known: KnownRoom, events: readonly ClientEvent[]): string[] {
  const history = new SeenHistory(events, known.user.userId);
  const isJoined = history.membership === "join";
  const faults = isJoined
    ? [...faultsOfSeen(known, history, events), ...faultsOfState(known, history)]
    : [];
  return [...known.faults, ...faults].map((it) => `${JSON.stringify(known.manner)}: ${it}`);
}

/** Of what the client has seen nothing may be missing that came after the first of it. */
function faultsOfSeen(
  { manner, seen }: KnownRoom,
  { readable = [] }: SeenHistory,
  events: readonly ClientEvent[],
): string[] {
  const typeOf = new Map(events.map((it) => [it.event_id, it.type]));
  const wanted = readable.filter((it) => manner.types?.includes(typeOf.get(it) ?? "") ?? true);
  const since = wanted.slice(
    Math.max(
      0,
      wanted.findIndex((it) => seen.has(it)),
    ),
  );
  const missing = since.filter((it) => !seen.has(it)).map((it) => `not told of ${it}`);
  const further = [...seen].filter((it) => !wanted.includes(it)).map((it) => `told of ${it}`);
  return [...missing, ...further];
}

function faultsOfState({ manner, state }: KnownRoom, history: SeenHistory): string[] {
  return [...history.state].flatMap(([key, eventId]) => {
    const isLazy = manner.lazy && key.startsWith("m.room.member ");
    // A member that was not needed is not known; of one that is known, every change is told after timelines.
    const mayDiffer = isLazy && (!manner.after || !state.has(key));
    return mayDiffer || state.get(key) === eventId ? [] : [`has an old ${key}`];
  });
}
