/**
 * State resolution as the specification's text has it, set by set and word by word, to hold the
 * quick one against; and random rooms to do it with. For tests alone.
 */

import fc from "fast-check";
import type { EventId } from "#src/kit/identifiers.ts";
import { type Pdu, type RoomGraph, type StateKey, stateKeyOf } from "../pdu.ts";
import { event } from "../testing.ts";
import type { Authorise } from "./iterative-auth-checks.ts";
import type { ResolutionRules } from "./resolve-v2.ts";
import type { StateMap } from "./state-map.ts";

/** @spec rooms/v12#definitions "Auth chain" */
function naiveAuthChain(id: EventId, { events }: RoomGraph): Set<EventId> {
  const parents = events.get(id)?.auth_events ?? [];
  return parents.reduce(
    (chain, parent) => chain.union(naiveAuthChain(parent, { events, rejected: new Set() })),
    new Set(parents),
  );
}

/** @spec rooms/v12#definitions "Auth difference" */
export function naiveAuthDifference(
  stateSets: readonly StateMap[],
  graph: RoomGraph,
): Set<EventId> {
  const chains = stateSets.map((set) =>
    [...set.values()].reduce(
      (chain, id) => chain.union(naiveAuthChain(id, graph)),
      new Set(set.values()),
    ),
  );
  const union = chains.reduce((x, y) => x.union(y), new Set());
  const common = chains.reduce((x, y) => x.intersection(y), union);
  return union.difference(common);
}

/** @spec rooms/v12#definitions "Conflicted state subgraph" */
export function naiveSubgraph(conflicted: ReadonlySet<EventId>, graph: RoomGraph): Set<EventId> {
  const subgraph = new Set(conflicted);
  for (const from of conflicted) {
    for (const id of naiveAuthChain(from, graph)) {
      if (naiveAuthChain(id, graph).intersection(conflicted).size > 0) subgraph.add(id);
    }
  }
  return subgraph;
}

/** @spec rooms/v12#algorithm */
export function naiveResolve(
  stateSets: readonly StateMap[],
  graph: RoomGraph,
  rules: ResolutionRules,
): Map<StateKey, EventId> {
  const unconflicted = new Map<StateKey, EventId>();
  const conflicted = new Set<EventId>();
  for (const key of new Set(stateSets.flatMap((set) => [...set.keys()]))) {
    const values = new Set(stateSets.map((set) => set.get(key)));
    const [only] = values;
    if (values.size === 1 && only) unconflicted.set(key, only);
    else values.forEach((id) => id && conflicted.add(id));
  }

  const full = conflicted
    .union(naiveAuthDifference(stateSets, graph))
    .union(rules.v21 ? naiveSubgraph(conflicted, graph) : new Set<EventId>());

  // The auth chains within the full conflicted set, as all servers have it (decision 0008, 2).
  const within = graphOf([...full].flatMap((id) => graph.events.get(id) ?? []));
  let x = new Set([...full].filter((id) => isPower(graph.events.get(id))));
  for (const power of x) x = x.union(naiveAuthChain(power, within).intersection(full));
  const start = rules.v21 ? new Map<StateKey, EventId>() : new Map(unconflicted);
  const partial = naiveChecks(start, naivePowerOrder(x, graph, rules), graph, rules.authorise);

  const rest = [...full.difference(x)].flatMap((id) => graph.events.get(id) ?? []);
  const sorted = naiveMainlineOrder(
    rest,
    partial.get(stateKeyOf("m.room.power_levels", "")),
    graph,
  );
  const resolved = naiveChecks(partial, sorted, graph, rules.authorise);
  return new Map([...resolved, ...unconflicted]);
}

function isPower(pdu: Pdu | undefined): boolean {
  if (pdu?.type === "m.room.power_levels" || pdu?.type === "m.room.join_rules") return true;
  return (
    pdu?.type === "m.room.member" &&
    pdu.sender !== pdu.state_key &&
    (pdu.content["membership"] === "leave" || pdu.content["membership"] === "ban")
  );
}

function naivePowerOrder(x: Set<EventId>, graph: RoomGraph, { powerOf }: ResolutionRules): Pdu[] {
  const sorted: Pdu[] = [];
  const left = new Set([...x].filter((id) => graph.events.get(id)));
  while (left.size > 0) {
    const ready = [...left].flatMap((id) => {
      const pdu = graph.events.get(id);
      return pdu && !pdu.auth_events.some((parent) => left.has(parent)) ? [pdu] : [];
    });
    const [next] = ready.toSorted((a, b) => {
      if (powerOf(a) !== powerOf(b)) return powerOf(a) > powerOf(b) ? -1 : 1;
      if (a.origin_server_ts !== b.origin_server_ts) return a.origin_server_ts - b.origin_server_ts;
      return a.event_id < b.event_id ? -1 : 1;
    });
    if (!next) break;
    sorted.push(next);
    left.delete(next.event_id);
  }
  return sorted;
}

function naiveMainlineOrder(rest: Pdu[], p: EventId | undefined, graph: RoomGraph): Pdu[] {
  const powerLevelsOf = (id: EventId): EventId | undefined =>
    graph.events
      .get(id)
      ?.auth_events.find((parent) => graph.events.get(parent)?.type === "m.room.power_levels");
  const lineFrom = (id: EventId | undefined): EventId[] =>
    id ? [id, ...lineFrom(powerLevelsOf(id))] : [];

  const mainline = lineFrom(p);
  const positionOf = (pdu: Pdu): number => {
    const joined = lineFrom(powerLevelsOf(pdu.event_id)).find((id) => mainline.includes(id));
    return joined ? mainline.indexOf(joined) : Number.MAX_SAFE_INTEGER;
  };
  return rest.toSorted((a, b) => {
    if (positionOf(a) !== positionOf(b)) return positionOf(b) - positionOf(a);
    if (a.origin_server_ts !== b.origin_server_ts) return a.origin_server_ts - b.origin_server_ts;
    return a.event_id < b.event_id ? -1 : 1;
  });
}

function naiveChecks(
  initial: ReadonlyMap<StateKey, EventId>,
  sorted: readonly Pdu[],
  graph: RoomGraph,
  authorise: Authorise,
): Map<StateKey, EventId> {
  const state = new Map(initial);
  for (const pdu of sorted) {
    const own = pdu.auth_events
      .filter((id) => !graph.rejected.has(id))
      .map((id) => graph.events.get(id));
    const allowed = authorise(pdu, (type, key) => {
      const id = state.get(stateKeyOf(type, key));
      if (id) return graph.events.get(id);
      return own.find((auth) => auth?.type === type && auth.state_key === key);
    });
    if (allowed) state.set(stateKeyOf(pdu.type, pdu.state_key ?? ""), pdu.event_id);
  }
  return state;
}

/** A room of random state events, its graph, and some state sets of it. */
export type RandomForks = {
  readonly events: readonly Pdu[];
  readonly graph: RoomGraph;
  readonly stateSets: readonly StateMap[];
};

const USERS = ["@alice:hs1.test", "@bob:hs2.test", "@carol:hs3.test"] as const;
const KEYS = [
  ["m.room.power_levels", ""],
  ["m.room.join_rules", ""],
  ["m.room.topic", ""],
  ["m.room.name", ""],
  ...USERS.map((user) => ["m.room.member", user] as const),
] as const;

/**
 * Random forks of a room. Each event is authorised by some of the few before it, so that chains are
 * long and cross each other; each state set takes for each key one event or none.
 */
export const randomForks: fc.Arbitrary<RandomForks> = fc
  .array(
    fc.record({
      key: fc.constantFrom(...KEYS),
      sender: fc.constantFrom(...USERS),
      membership: fc.constantFrom("join", "leave", "ban"),
      ts: fc.nat(3),
      back: fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 3 }),
      rejected: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
      // For each of up to four sets, whether this event is in it unless a later one replaces it.
      sets: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
    }),
    { minLength: 3, maxLength: 14 },
  )
  .chain((steps) =>
    fc.record({ steps: fc.constant(steps), setCount: fc.integer({ min: 2, max: 4 }) }),
  )
  .map(({ steps, setCount }) => {
    const events: Pdu[] = [];
    const rejected = new Set<EventId>();
    const stateSets = Array.from({ length: setCount }, () => new Map<StateKey, EventId>());
    for (const { key, sender, membership, ts, back, sets, ...step } of steps) {
      const auth_events = [...new Set(back)].flatMap((n) => events.at(-n)?.event_id ?? []);
      const [type, state_key] = key;
      const pdu = event({
        type,
        state_key,
        sender,
        content: { membership },
        auth_events,
        origin_server_ts: ts,
        depth: events.length,
      });
      events.push(pdu);
      if (step.rejected) rejected.add(pdu.event_id);
      for (const [index, set] of stateSets.entries()) {
        if (sets[index]) set.set(stateKeyOf(type, state_key), pdu.event_id);
      }
    }
    return { events, graph: graphOf(events, rejected), stateSets };
  });

/** A graph of these events. */
export function graphOf(
  events: readonly Pdu[],
  rejected: ReadonlySet<EventId> = new Set(),
): RoomGraph {
  return { events: new Map(events.map((pdu) => [pdu.event_id, pdu])), rejected };
}

/** Rules that look at much of the state and, as far as anyone can tell, decide by chance. */
export const capriciousRules: Omit<ResolutionRules, "v21"> = {
  authorise: (pdu, lookup) => {
    const seen = KEYS.map(([type, key]) => lookup(type, key)?.event_id ?? "-").join();
    return hashOf(`${pdu.event_id} ${seen}`) % 4 !== 0;
  },
  powerOf: (pdu) =>
    [0, 50, 100, Number.POSITIVE_INFINITY][hashOf(pdu.sender + pdu.auth_events.join()) % 4] ?? 0,
};

function hashOf(text: string): number {
  let hash = 7;
  for (const character of text) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) >>> 0;
  return hash;
}
