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
    // Since the newest member event nothing has changed, but in forks; else the state of the time has to be asked.
    const isAsNow = now && !event.amongForks && (event.anchor ?? 0) >= now.position;
    if (isAsNow) found.set(event, now.membership);
    else if (now && event.stateAfter !== undefined) older.push(event);
    else found.set(event, "leave");
  }
  if (older.length === 0) return found;
  const memberships = await membershipsAt(hs, userId, older);
  for (const [index, event] of older.entries()) found.set(event, memberships[index] ?? "leave");
  return found;
}

/** What a user was in the states after some events. */
async function membershipsAt(
  hs: Homeserver,
  userId: string,
  events: readonly StoredEvent[],
): Promise<(string | undefined)[]> {
  const pair: StatePair = ["m.room.member", userId];
  const slot = (await findSlots(hs, [pair])).get(pairKey(...pair));
  if (slot === undefined) return [];
  const lookups = events.map((it) => ({ root: it.stateAfter ?? 0, slot }));
  const keys = await lookUpSlots(hs, hs.sql, lookups);
  const members = await eventsOf(
    hs,
    keys.filter((it) => it !== undefined),
  );
  return keys.map((key) => {
    const membership = members.get(key ?? -1)?.content["membership"];
    return typeof membership === "string" ? membership : undefined;
  });
}
