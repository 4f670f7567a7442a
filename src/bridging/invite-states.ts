import type { Appservice } from "#src/config/appservice.ts";
import { ownsUser } from "#src/config/registered-appservices.ts";
import { isUserId } from "#src/events/event-identifiers.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { strippedStates } from "#src/rooms/stripped-states.ts";
import { findUserKeys } from "#src/rooms/user-keys.ts";

/** Under which name an event says what the room is like of which its user is told by it. */
const NAMES: ReadonlyMap<unknown, string> = new Map([
  ["invite", "invite_room_state"],
  ["knock", "knock_room_state"],
]);

/**
 * The texts of events with what the rooms are like to which users of an application service are invited, or on which they
 * knock: of those it can ask nobody.
 *
 * @param texts those of the events, as they are otherwise.
 * @spec client-server-api#stripped-state
 */
export async function withInviteStates(
  hs: Homeserver,
  appservice: Appservice,
  events: readonly StoredEvent[],
  texts: readonly string[],
): Promise<string[]> {
  const waiting = events.flatMap((event) => {
    const { type, stateKey, content } = event;
    const name = type === "m.room.member" ? NAMES.get(content["membership"]) : undefined;
    const isOwn = isUserId(stateKey) && ownsUser(hs.config, appservice, stateKey);
    return name !== undefined && isOwn ? [{ event, name, userId: stateKey }] : [];
  });
  if (waiting.length === 0) return [...texts];
  const keys = await findUserKeys(
    hs,
    waiting.map((it) => it.userId),
  );
  const told = new Map<StoredEvent, object>();
  for (const [userId, its] of Map.groupBy(waiting, (it) => it.userId)) {
    const rooms = its.map(({ event }) => ({ roomKey: event.roomKey, standing: event }));
    const states = await strippedStates(hs, keys.get(userId) ?? 0, rooms);
    for (const { event, name } of its) {
      // The last of it is the event itself.
      const others = (states.get(event.roomKey) ?? []).slice(0, -1);
      told.set(event, { [name]: others.map((it) => JSON.parse(it) as object) });
    }
  }
  return events.map((event, index) => {
    const text = texts[index] ?? "{}";
    const further = told.get(event);
    if (!further) return text;
    const { unsigned, ...rest } = JSON.parse(text) as { unsigned?: object };
    return JSON.stringify({ ...rest, unsigned: { ...unsigned, ...further } });
  });
}
