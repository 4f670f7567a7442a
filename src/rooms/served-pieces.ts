import type { RoomVersionRules } from "#src/events/room-versions.ts";
import { servedText } from "./served-text.ts";
import type { StoredEvent } from "./stored-event.ts";

/** How many events go together. */
const AT_ONCE = 100;

/**
 * The texts of events for other servers, as the items of a list, a few at a time: of a large room's state nobody has to
 * hold all, however slowly it is taken.
 */
export function* servedPieces(
  events: readonly StoredEvent[],
  rules: RoomVersionRules,
): Generator<string> {
  for (let at = 0; at < events.length; at += AT_ONCE) {
    const texts = events.slice(at, at + AT_ONCE).map((it) => servedText(it, rules));
    yield `${at === 0 ? "" : ","}${texts.join(",")}`;
  }
}
