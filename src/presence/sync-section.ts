import { limitOf, type Filter } from "#src/filters/filter.ts";
import { matchesEventFilter } from "#src/filters/matches-event-filter.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { EVENTS } from "#src/rooms/event-changes.ts";
import { StoredEvent } from "#src/rooms/stored-event.ts";
import { findUserKeys, userIdsOf } from "#src/rooms/user-keys.ts";
import type { Change } from "#src/streams/stream.ts";
import type { Range, SyncQuestion, SyncSection } from "#src/streams/sync-section.ts";
import { type KnownPresence, presenceBookOf } from "./known-presence.ts";
import { PRESENCE } from "./presence-stream.ts";
import { contentOf, type Presence } from "./presence.ts";
import { usersSharing } from "./shared-rooms.ts";
import { smallRooms } from "./small-rooms.ts";

const TYPE = "m.presence";

/** More users than any client shows. */
const LIMITS = { standard: 1_000, most: 1_000 };

/**
 * Who of those with whom the user shares a room is there: whose presence is news, and those with whom no
 * room was shared before.
 *
 * @spec client-server-api#presence
 */
export const presenceSection: SyncSection = {
  name: "presence",
  streams: [PRESENCE, EVENTS],

  concerns: (change, { rooms }) =>
    change.stream === PRESENCE || (isArrival(change) && rooms.has(change.roomKey ?? -1)),

  async read(hs, question, range) {
    if (!hs.config.presence.enabled || !isWanted(question)) return {};
    const known = await knownFor(hs, question, range);
    if (known.size === 0) return {};
    const rooms = await smallRooms(hs, question.rooms.keys());
    const sharing = await usersSharing(hs, [...known.keys()], rooms);
    const own = question.requester.userKey;
    const shown = [...known.values()].filter((it) => sharing.has(it.userKey) || it.userKey === own);
    const events = await eventsOf(hs, shown, question);
    return events.length === 0 ? {} : { global: { presence: { events } } };
  },
};

/** Many clients want none of it. */
function isWanted({ filter }: SyncQuestion): boolean {
  const { types, not_types } = (filter as Filter | undefined)?.presence ?? {};
  return matchesEventFilter({ types, not_types }, { type: TYPE });
}

/** Whether somebody comes to a room: they may be there already. */
function isArrival({ detail }: Change): boolean {
  return (
    detail instanceof StoredEvent &&
    detail.type === "m.room.member" &&
    detail.content["membership"] === "join"
  );
}

/** Those of whom the client may have to be told, by their keys. */
async function knownFor(
  hs: Homeserver,
  question: SyncQuestion,
  { after }: Range,
): Promise<ReadonlyMap<number, Presence>> {
  const { changes, newRooms } = question;
  if (after === undefined || !changes) {
    const all = [...(await presenceBookOf(hs).all())];
    const isNews = (it: KnownPresence) =>
      after === undefined ? it.state !== "offline" : it.position > after;
    return byUser(all.filter(isNews));
  }
  return byUser([
    ...(newRooms.size > 0 ? await thereIn(hs, newRooms) : []),
    ...(await arrivedIn(hs, changes)),
    ...newsIn(hs, changes),
  ]);
}

function byUser(known: readonly Presence[]): Map<number, Presence> {
  return new Map(known.map((it) => [it.userKey, it]));
}

/** Of those who are in rooms about which the client knows nothing yet, who is there, and when others were. */
async function thereIn(hs: Homeserver, roomKeys: ReadonlySet<number>): Promise<Presence[]> {
  const all = [...(await presenceBookOf(hs).all())];
  const userKeys = all.map((it) => it.userKey);
  const there = await usersSharing(hs, userKeys, await smallRooms(hs, roomKeys));
  return all.filter((it) => there.has(it.userKey));
}

/** Of those who have just come to rooms, who is there, and when others were. */
async function arrivedIn(hs: Homeserver, changes: readonly Change[]): Promise<Presence[]> {
  const arrived = changes.filter(isArrival).map((it) => (it.detail as StoredEvent).stateKey);
  const book = presenceBookOf(hs);
  const found: Presence[] = [];
  for (const userKey of (await findUserKeys(hs, arrived as UserId[])).values()) {
    const known = await book.of(userKey);
    if (known) found.push(known);
  }
  return found;
}

function newsIn(hs: Homeserver, changes: readonly Change[]): Presence[] {
  const told = changes.filter((it) => it.stream === PRESENCE).map((it) => it.detail as Presence);
  return told.map((it) => presenceBookOf(hs).peek(it.userKey) ?? it);
}

async function eventsOf(
  hs: Homeserver,
  shown: readonly Presence[],
  { filter }: SyncQuestion,
): Promise<object[]> {
  const wanted = (filter as Filter | undefined)?.presence;
  const userIds = await userIdsOf(
    hs,
    shown.map((it) => it.userKey),
  );
  const now = hs.now();
  return shown
    .flatMap((it) => {
      const sender = userIds.get(it.userKey);
      if (sender === undefined) return [];
      return [{ type: TYPE, sender, content: contentOf(it, now) }];
    })
    .filter((it) => matchesEventFilter(wanted, it))
    .slice(0, limitOf(wanted, LIMITS));
}
