import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { eventsOf } from "./find-event.ts";
import { type Standing, standingsOf } from "./memberships.ts";
import { lookUpSlots } from "./state-map/look-up-slots.ts";
import { findSlots, pairKey, type StatePair } from "./state-slots.ts";
import type { StoredEvent } from "./stored-event.ts";

/**
 * What a reader was in the room when each of some events was sent, the event itself included.
 *
 * @param known what they are now, by room key.
 * @spec client-server-api#room-event-format
 */
export async function readersMemberships(
  hs: Homeserver,
  events: readonly StoredEvent[],
  { userKey, userId }: { readonly userKey: number; readonly userId: string },
  known?: ReadonlyMap<number, Standing>,
): Promise<Map<StoredEvent, string>> {
  const standings =
    known ??
    (await standingsOf(
      hs,
      userKey,
      events.map((it) => it.roomKey),
    ));
  const found = new Map<StoredEvent, string>();
  const older: StoredEvent[] = [];
  for (const event of events) {
    const now = standings.get(event.roomKey);
    // Since the newest member event nothing has changed; before it, the state of the time has to be asked.
    if (now && (event.anchor ?? 0) >= now.position) found.set(event, now.membership);
    else if (now && event.stateAfter !== undefined) older.push(event);
    else found.set(event, "leave");
  }
  if (older.length === 0) return found;

  const pair: StatePair = ["m.room.member", userId];
  const slot = (await findSlots(hs, [pair])).get(pairKey(...pair));
  const lookups = older.map((it) => ({ root: it.stateAfter ?? 0, slot: slot ?? 0 }));
  const keys = slot === undefined ? [] : await lookUpSlots(hs, hs.sql, lookups);
  const members = await eventsOf(
    hs,
    keys.filter((it) => it !== undefined),
  );
  for (const [index, event] of older.entries()) {
    const membership = members.get(keys[index] ?? -1)?.content["membership"];
    found.set(event, typeof membership === "string" ? membership : "leave");
  }
  return found;
}
