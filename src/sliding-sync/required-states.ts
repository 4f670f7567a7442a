import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { citedMembers } from "#src/rooms/partial/cited-members.ts";
import { lookUpSlots } from "#src/rooms/state-map/look-up-slots.ts";
import { entriesOfStates } from "#src/rooms/state-map/read-entries.ts";
import { differences } from "#src/rooms/state-map/state-map.ts";
import { withNodes } from "#src/rooms/state-map/stored-nodes.ts";
import { findSlots, pairKey, pairsOf, type StatePair } from "#src/rooms/state-slots.ts";
import { isOutOfLine, type StoredEvent } from "#src/rooms/stored-event.ts";
import { endOfState } from "#src/sync/room-end.ts";
import type { Timeline } from "#src/sync/room-timelines.ts";
import { rootsAt } from "#src/timeline/root-at.ts";
import type { AskedRoom } from "./asked-rooms.ts";
import {
  isLazy,
  namedPairs,
  type RequiredState,
  wantsState,
  wantsUnnamed,
} from "./required-state.ts";

/** What a client is told of a room's state. */
export type ToldState = {
  /** What it wants of what has changed; of a room that is told anew, of all there is. */
  readonly events: readonly StoredEvent[];
  /** What was deleted of what it wants. */
  readonly deleted: readonly StatePair[];
  /** The members by whom or of whom the timeline is, if they come lazily. */
  readonly members: readonly StoredEvent[];
  /** Whether the state of a pair is another than the client knows. */
  readonly hasChanged: (type: string, stateKey: string) => boolean;
  /** Whether anybody has become another in the room. */
  readonly hasMembersChanged: boolean;
  readonly name: StoredEvent | undefined;
  readonly avatar: StoredEvent | undefined;
};

const NAME: StatePair = ["m.room.name", ""];
const AVATAR: StatePair = ["m.room.avatar", ""];

/** A room, and between which states the client is to be led. */
type Asked = {
  readonly room: AskedRoom;
  readonly timeline: Timeline | undefined;
  /** The state that the client has; undefined if it has none. */
  readonly from: number | undefined;
  /** The state that it is to have. */
  readonly to: number;
};

/** Where a state has another entry than before. */
type Changed = {
  readonly pair: StatePair;
  /** Undefined if it has none any more. */
  readonly eventKey: number | undefined;
};

/** What clients are told of the state of rooms, by room key: with as few queries as of one. */
export async function requiredStates(
  hs: Homeserver,
  rooms: readonly AskedRoom[],
  { timelines, upTo }: { timelines: ReadonlyMap<number, Timeline>; upTo: Position },
): Promise<Map<number, ToldState>> {
  const asked = await withRoots(hs, rooms, { timelines, upTo });
  const [changes, wholes, looked] = await Promise.all([
    changesOf(hs, asked),
    wholesOf(hs, asked),
    lookedUp(hs, asked),
  ]);
  const keysOf = (it: Asked) => {
    const named = new Map([...(wholes.get(it) ?? []), ...(looked.get(it) ?? [])]);
    return { named, changed: changes.get(it) ?? [] };
  };
  const events = await eventsOf(
    hs,
    asked.flatMap((it) => {
      const { named, changed } = keysOf(it);
      return [...named.values(), ...changed.flatMap(({ eventKey }) => eventKey ?? [])];
    }),
  );
  const lazy = asked.filter(({ room }) => isLazy(room.config.requiredState));
  const timelineEvents = lazy.flatMap((it) => it.timeline?.events ?? []);
  const cited = await citedMembers(hs, timelineEvents, [...events.values()]);
  return new Map(
    asked.map((it) => [it.room.roomKey, toldState(it, keysOf(it), { events, cited })]),
  );
}

/** Finds the roots: at hand where all that has happened is in memory; of the others with one query. */
async function withRoots(
  hs: Homeserver,
  rooms: readonly AskedRoom[],
  { timelines, upTo }: { timelines: ReadonlyMap<number, Timeline>; upTo: Position },
): Promise<Asked[]> {
  const places: { roomKey: number; anchor: number }[] = [];
  const open = rooms.map((room) => {
    const atHand = rootsAtHand(room);
    if (atHand) return atHand;
    const { roomKey, since } = room;
    const end = room.leftAt === undefined ? timelines.get(roomKey)?.endRoot : undefined;
    if (end !== undefined && since === undefined) return { from: undefined, to: end };
    const anchor = endOfState(room, upTo);
    const to = places.push({ roomKey, anchor }) - 1;
    const known = since === undefined ? undefined : Math.min(since, anchor);
    const from = known === undefined ? undefined : places.push({ roomKey, anchor: known }) - 1;
    return { places: { from, to } };
  });
  const roots = await rootsAt(hs, places);
  return rooms.map((room, index) => {
    const timeline = timelines.get(room.roomKey);
    const it = open[index];
    if (!it || "places" in it) {
      const { from, to = -1 } = it?.places ?? {};
      return {
        room,
        timeline,
        from: from === undefined ? from : (roots[from] ?? 0),
        to: roots[to] ?? 0,
      };
    }
    return { room, timeline, ...it };
  });
}

function rootsAtHand({ events }: AskedRoom): { from: number; to: number } | undefined {
  const [first] = events ?? [];
  if (!events || events.some((it) => isOutOfLine(it) || it.status !== 0)) return undefined;
  const { stateBefore: from } = first ?? {};
  const to = events.at(-1)?.roomState;
  return from === undefined || to === undefined ? undefined : { from, to };
}

/** Where the state is another than the client knows. */
async function changesOf(
  hs: Homeserver,
  asked: readonly Asked[],
): Promise<ReadonlyMap<Asked, readonly Changed[]>> {
  const moved = asked.filter((it) => it.from !== undefined && it.from !== it.to);
  if (moved.length === 0) return new Map();
  const found = await withNodes(hs, hs.sql, (source) =>
    moved.map((it) => differences(it.from ?? 0, it.to, source)),
  );
  const pairs = await pairsOf(hs, new Set(found.flat().map((it) => it.slot)));
  return new Map(
    moved.map((it, index) => [
      it,
      (found[index] ?? []).flatMap(({ slot, after }) => {
        const pair = pairs.get(slot);
        return pair ? [{ pair, eventKey: after }] : [];
      }),
    ]),
  );
}

/** Of rooms that are told anew, or whose client wants more than before, and of which not all is wanted by its name: what is wanted. */
async function wholesOf(
  hs: Homeserver,
  asked: readonly Asked[],
): Promise<ReadonlyMap<Asked, ReadonlyMap<string, number>>> {
  const whole = asked.filter(isLookedThrough);
  if (whole.length === 0) return new Map();
  const states = await entriesOfStates(hs, hs.sql, new Set(whole.map((it) => it.to)));
  const pairs = await pairsOf(hs, new Set([...states.values()].flatMap((it) => it.slots)));
  return new Map(
    whole.map((it) => {
      const { slots = [], events = [] } = states.get(it.to) ?? {};
      const wanted = new Map<string, number>();
      for (const [index, slot] of slots.entries()) {
        const pair = pairs.get(slot);
        if (!pair || !(isLook(pair) || isNewlyWanted(it, ...pair))) continue;
        wanted.set(pairKey(...pair), events[index] ?? 0);
      }
      return [it, wanted];
    }),
  );
}

/** Whether all of a room's state has to be looked through. */
function isLookedThrough(it: Asked): boolean {
  return wantsWhole(it) && wantsUnnamed(wantedOf(it));
}

/** What every room is shown by, whether the client wants the events or not. */
function isLook([type, stateKey]: StatePair): boolean {
  return stateKey === "" && (type === NAME[0] || type === AVATAR[0]);
}

function wantsWhole({ room, from }: Asked): boolean {
  return from === undefined || room.narrower !== undefined;
}

function wantedOf({ room }: Asked): RequiredState {
  return room.config.requiredState;
}

function isNewlyWanted({ room, from }: Asked, type: string, stateKey: string): boolean {
  if (!wantsState(room.config.requiredState, type, stateKey)) return false;
  return from === undefined || !room.narrower || !wantsState(room.narrower, type, stateKey);
}

/** What is looked up by name: what the client wants so, the room's name and picture, and the timeline's members. */
async function lookedUp(
  hs: Homeserver,
  asked: readonly Asked[],
): Promise<ReadonlyMap<Asked, ReadonlyMap<string, number>>> {
  const wanted = asked.map((it) => [it, pairsFor(it)] as const);
  const slots = await findSlots(
    hs,
    wanted.flatMap(([, pairs]) => pairs),
  );
  const lookups = wanted.flatMap(([it, pairs]) =>
    pairs.flatMap((pair) => {
      const slot = slots.get(pairKey(...pair));
      return slot === undefined ? [] : [{ it, key: pairKey(...pair), root: it.to, slot }];
    }),
  );
  const keys = await lookUpSlots(hs, hs.sql, lookups);
  const found = new Map<Asked, Map<string, number>>(asked.map((it) => [it, new Map()]));
  for (const [index, { it, key }] of lookups.entries()) {
    const eventKey = keys[index];
    if (eventKey !== undefined) found.get(it)?.set(key, eventKey);
  }
  return found;
}

function pairsFor(it: Asked): StatePair[] {
  const members = lazyMembers(it).map((id): StatePair => ["m.room.member", id]);
  // The others are found where all of the state is looked through.
  if (isLookedThrough(it)) return members;
  const named = wantsWhole(it)
    ? namedPairs(wantedOf(it)).filter((pair) => isNewlyWanted(it, ...pair))
    : [];
  return [...named, NAME, AVATAR, ...members];
}

/** Those by whom or of whom a timeline is, if members come lazily. */
function lazyMembers({ room, timeline }: Asked): string[] {
  if (!timeline || !isLazy(room.config.requiredState)) return [];
  const ids = new Set<string>();
  for (const { sender, type, stateKey } of timeline.events) {
    ids.add(sender);
    if (type === "m.room.member" && stateKey !== undefined) ids.add(stateKey);
  }
  return [...ids];
}

function toldState(
  it: Asked,
  { named, changed }: { named: ReadonlyMap<string, number>; changed: readonly Changed[] },
  { events, cited }: { events: ReadonlyMap<number, StoredEvent>; cited: readonly StoredEvent[] },
): ToldState {
  const { from } = it;
  const at = (key: string) => events.get(named.get(key) ?? -1);
  const wanted = changed.filter(({ pair }) => wantsChange(it, pair));
  const told = new Map<string, StoredEvent>();
  for (const event of wantsWhole(it) ? [...named.keys()].map(at) : []) {
    const { type, stateKey = "" } = event ?? { type: "" };
    if (event && isNewlyWanted(it, type, stateKey)) told.set(pairKey(type, stateKey), event);
  }
  for (const { pair, eventKey } of wanted) {
    const event = events.get(eventKey ?? -1);
    if (event) told.set(pairKey(...pair), event);
  }
  const isNew = (is: (pair: StatePair) => boolean) =>
    from === undefined || changed.some(({ pair }) => is(pair));
  return {
    events: [...told.values()],
    deleted: wanted.flatMap(({ pair, eventKey }) => (eventKey === undefined ? [pair] : [])),
    members: [
      ...lazyMembers(it)
        .map((id) => pairKey("m.room.member", id))
        .flatMap((key) => (told.has(key) ? [] : (at(key) ?? []))),
      ...cited.filter((member) => member.roomKey === it.room.roomKey),
    ],
    hasChanged: (type, stateKey) => isNew(([itsType, its]) => itsType === type && its === stateKey),
    hasMembersChanged: isNew(([type]) => type === "m.room.member"),
    name: at(pairKey(...NAME)),
    avatar: at(pairKey(...AVATAR)),
  };
}

/** So that clients may remember members, they are told of all who change while nothing is left out. */
function wantsChange({ room: { config }, timeline }: Asked, pair: StatePair): boolean {
  if (wantsState(config.requiredState, ...pair)) return true;
  const isGapless = timeline?.limited === false;
  return isGapless && pair[0] === "m.room.member" && isLazy(config.requiredState);
}
