import { type RoomGraph, splitStateKey, stateKeyOf } from "#src/events/pdu.ts";
import { resolveState } from "#src/events/state-resolution/resolve.ts";
import type { StateMap } from "#src/events/state-resolution/state-map.ts";
import { Dice } from "./dice.ts";
import type { PoolItem, ResolveItem } from "./oracle.ts";
import type { RandomRoom } from "./random-room.ts";

/** A room's events, as the oracle wants them. */
export function poolOf({ rules, pool }: RandomRoom): PoolItem {
  return {
    version: rules.version,
    pool: pool.map(({ text }) => text),
    rejected: pool.flatMap(({ rejected }, place) => (rejected ? [place] : [])),
  };
}

/** A set of states, as places in the pool of a room's events. */
type Sets = readonly (readonly number[])[];

/**
 * Sets of states of a room that differ: as they came about; and shaken up, so that some things are
 * missing or as they never were together, and a rejected event may be among them.
 */
export function forksOf(room: RandomRoom, seed: number): { room: RandomRoom; item: ResolveItem }[] {
  const dice = new Dice(seed);
  const places = new Map(room.pool.map(({ event }, place) => [event.event_id, place]));
  const cameAbout = room.states.map((state) =>
    [...state.values()].map(({ event_id }) => places.get(event_id) ?? 0),
  );
  const again = [...cameAbout.slice(0, 3), ...cameAbout.slice(0, 1)];
  const candidates: Sets[] = [
    cameAbout.slice(0, 4),
    again.map((state) => shaken(dice, room, state)),
  ];
  return candidates
    .filter((sets) => new Set(sets.map((set) => set.toSorted((x, y) => x - y).join())).size > 1)
    .map((sets) => ({ room, item: { ...poolOf(room), sets } }));
}

function shaken(dice: Dice, room: RandomRoom, state: readonly number[]): number[] {
  return state.flatMap((place) => {
    const held = room.pool[place]?.event;
    if (!held || held.type === "m.room.create") return [place];
    if (dice.chance(8)) return [];
    if (!dice.chance(20)) return [place];
    const others = room.pool.flatMap(({ event }, other) =>
      event.type === held.type && event.state_key === held.state_key ? [other] : [],
    );
    return [dice.pick(others)];
  });
}

/** What we resolve the sets of such a request to, in the order of the oracle. */
export function resolvedHere(room: RandomRoom, item: ResolveItem): [string, string, string][] {
  const graph: RoomGraph = {
    events: new Map(room.pool.map(({ event }) => [event.event_id, event])),
    rejected: new Set(
      room.pool.flatMap(({ event, rejected }) => (rejected ? [event.event_id] : [])),
    ),
  };
  const sets = item.sets.map((places): StateMap => {
    const events = places.flatMap((place) => room.pool[place]?.event ?? []);
    return new Map(
      events.map(({ type, state_key, event_id }) => [stateKeyOf(type, state_key ?? ""), event_id]),
    );
  });
  return [...resolveState(sets, graph, room.rules)]
    .map(([key, id]): [string, string, string] => [...splitStateKey(key), id])
    .sort((x, y) => (x.join("\0") < y.join("\0") ? -1 : 1));
}
