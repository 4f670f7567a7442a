import { authEventKeys } from "#src/events/auth-rules/auth-events.ts";
import { type StateKey, stateKeyOf, splitStateKey } from "#src/events/pdu.ts";
import { authDifferenceSteps } from "#src/events/state-resolution/auth-difference.ts";
import { resolveConflictsInSlices } from "#src/events/state-resolution/resolve.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { slices } from "#src/homeserver/slices.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import { lru } from "#src/kit/lru.ts";
import { runStepsInSlices } from "#src/kit/steps.ts";
import { forEachEntrySince } from "../state-map/state-map.ts";
import { withNodes } from "../state-map/stored-nodes.ts";
import { findSlots, pairKey, pairsOf, type StatePair } from "../state-slots.ts";
import { AuthGraph, type RoomReading } from "./auth-graph.ts";
import {
  disputedEntries,
  type DraftedState,
  EMPTY_STATE,
  type EntryRef,
  entryOf,
  isSameDraft,
  isStored,
  storedState,
} from "./drafted-state.ts";

/** What stored states were resolved to, by their roots. */
const resolvedOf = held(() => lru<string, DraftedState>(5_000));

/** Where drafts have been stored since. */
const rootOfDraft = new WeakMap<DraftedState, number>();

/** Lets a state that was resolved be found where it has been stored, the next time it is asked for. */
export function rememberRoot(draft: DraftedState, root: number): void {
  rootOfDraft.set(draft, root);
}

/**
 * One state of several: what they agree on, and of what they do not agree on what state resolution makes
 * of it. Work and memory grow with what they do not share.
 *
 * @returns one of the states itself, if that is what comes out.
 * @spec server-server-api#room-state-resolution
 */
export async function resolveStates(
  hs: Homeserver,
  reading: RoomReading,
  states: readonly DraftedState[],
): Promise<DraftedState> {
  const distinct = states.filter(
    (it, index) => states.findIndex((other) => isSameDraft(it, other)) === index,
  );
  const [first = EMPTY_STATE, ...others] = distinct;
  if (others.length === 0) return first;
  if (!distinct.every(isStored)) return await resolveDistinct(hs, reading, distinct);

  const key = distinct
    .map((it) => it.base)
    .toSorted((a, b) => a - b)
    .join();
  const known = resolvedOf(hs).get(key);
  const root = known && rootOfDraft.get(known);
  if (root !== undefined) return storedState(root);
  const resolved = known ?? (await resolveDistinct(hs, reading, distinct));
  resolvedOf(hs).set(key, resolved);
  return resolved;
}

/** A state, if it has other entries than another one; else that other, however it came about. */
export async function sameOr(
  hs: Homeserver,
  { db }: RoomReading,
  state: DraftedState,
  other: DraftedState,
): Promise<DraftedState> {
  if (isSameDraft(state, other)) return other;
  const differing = await withNodes(hs, db, (source) => disputedEntries([state, other], source));
  return differing.size === 0 ? other : state;
}

type Dispute = { readonly slot: number; readonly entries: readonly (EntryRef | undefined)[] };

async function resolveDistinct(
  hs: Homeserver,
  reading: RoomReading,
  states: readonly DraftedState[],
): Promise<DraftedState> {
  const { room, db } = reading;
  const entries = await withNodes(hs, db, (source) => disputedEntries(states, source));
  const [first = EMPTY_STATE] = states;
  if (entries.size === 0) return first;

  const pairs = await pairsOf(hs, entries.keys(), db);
  const disputes = new Map<StateKey, Dispute>();
  for (const [slot, its] of entries) {
    const pair = pairs.get(slot);
    if (!pair) throw new Error("a state has an entry of an unknown type and state key");
    disputes.set(stateKeyOf(...pair), { slot, entries: its });
  }

  const graph = new AuthGraph(hs, reading);
  await graph.load([...entries.values()].flat().filter((it) => it !== undefined));
  await graph.loadCreate();
  const idsOf = (its: readonly (EntryRef | undefined)[]) =>
    new Set(its.flatMap((it) => (it === undefined ? [] : [graph.idOf(it)])));
  const conflicted = new Map([...disputes].map(([key, it]) => [key, idsOf(it.entries)]));
  const unconflicted = await agreedEntries(hs, reading, { graph, state: first, disputes });
  const authDifference =
    room.rules.stateResolution === "v1"
      ? new Set<EventId>()
      : await differenceOf(hs, reading, { graph, states, disputes, idsOf });

  const resolved = await resolveConflictsInSlices(
    { conflicted, unconflicted, authDifference, graph },
    room.rules,
    slices(),
  );
  return await resultOf(hs, reading, { states, disputes, resolved, graph });
}

/** What the states agree on, as far as the rules may ask for it. Its events are taken into the graph. */
async function agreedEntries(
  hs: Homeserver,
  { room, db }: RoomReading,
  {
    graph,
    state,
    disputes,
  }: { graph: AuthGraph; state: DraftedState; disputes: ReadonlyMap<StateKey, Dispute> },
): Promise<(key: StateKey) => EventId | undefined> {
  const asked = new Map<StateKey, StatePair>([
    [stateKeyOf("m.room.create", ""), ["m.room.create", ""]],
  ]);
  for (const event of graph.events.values()) {
    for (const pair of authEventKeys(event, room.rules)) asked.set(stateKeyOf(...pair), pair);
    if (event.state_key === undefined) continue;
    asked.set(stateKeyOf(event.type, event.state_key), [event.type, event.state_key]);
  }
  for (const key of disputes.keys()) asked.delete(key);

  const slots = await findSlots(hs, [...asked.values()], db);
  const agreed = await withNodes(hs, db, (source) => {
    const found = new Map<StateKey, EntryRef>();
    for (const [key, pair] of asked) {
      const slot = slots.get(pairKey(...pair));
      const entry = slot === undefined ? undefined : entryOf(state, slot, source);
      if (entry !== undefined) found.set(key, entry);
    }
    return found;
  });
  await graph.load(agreed.values());
  return (key) => {
    const entry = agreed.get(key);
    if (entry !== undefined) return graph.idOf(entry);
    if (asked.has(key) || disputes.has(key)) return undefined;
    throw new Error(`the agreed state of ${splitStateKey(key)[0]} was not looked up`);
  };
}

/** Types that events cite as their auth events. */
const AUTH_TYPES = new Set([
  "m.room.create",
  "m.room.power_levels",
  "m.room.join_rules",
  "m.room.member",
  "m.room.third_party_invite",
]);

async function differenceOf(
  hs: Homeserver,
  { db }: RoomReading,
  {
    graph,
    states,
    disputes,
    idsOf,
  }: {
    graph: AuthGraph;
    states: readonly DraftedState[];
    disputes: ReadonlyMap<StateKey, Dispute>;
    idsOf: (its: readonly (EntryRef | undefined)[]) => ReadonlySet<EventId>;
  },
): Promise<ReadonlySet<EventId>> {
  const all = [...disputes.values()];
  const forks = states.map((_, index) => idsOf(all.map((it) => it.entries[index])));
  const pause = slices();
  const none = () => [];
  const candidates = await runStepsInSlices(
    authDifferenceSteps({ forks, shared: none, graph }),
    pause,
  );

  // What the states share has only events of these types in its chains, and only such as are older.
  const keys = [...candidates]
    .filter((id) => AUTH_TYPES.has(graph.events.get(id)?.type ?? ""))
    .map((id) => graph.refOf(id))
    .map((ref) => (typeof ref === "number" ? ref : Number.MAX_SAFE_INTEGER));
  if (keys.length === 0) return candidates;
  const oldest = keys.reduce((least, key) => Math.min(least, key));
  const shared = await sharedSince(hs, db, { states, disputes, oldest });
  if (shared.length === 0) return candidates;
  await graph.load(shared, oldest);
  const ids = shared.map((ref) => graph.idOf(ref));
  return await runStepsInSlices(authDifferenceSteps({ forks, shared: () => ids, graph }), pause);
}

/** The events that all states have, of those that are new enough. */
async function sharedSince(
  hs: Homeserver,
  db: RoomReading["db"],
  {
    states: [first = EMPTY_STATE],
    disputes,
    oldest,
  }: {
    states: readonly DraftedState[];
    disputes: ReadonlyMap<StateKey, Dispute>;
    oldest: number;
  },
): Promise<EntryRef[]> {
  const disputed = new Set([...disputes.values()].map((it) => it.slot));
  return await withNodes(hs, db, (source) => {
    const found: EntryRef[] = [];
    forEachEntrySince(first.base, oldest, source, (slot, event) => {
      if (event >= oldest && !disputed.has(slot) && !first.changes.has(slot)) found.push(event);
    });
    for (const [slot, event] of first.changes) {
      if (event !== undefined && !disputed.has(slot)) found.push(event);
    }
    return found;
  });
}

/** Puts what came out into that state from which it differs least. */
async function resultOf(
  hs: Homeserver,
  { db }: RoomReading,
  {
    states,
    disputes,
    resolved,
    graph,
  }: {
    states: readonly DraftedState[];
    disputes: ReadonlyMap<StateKey, Dispute>;
    resolved: ReadonlyMap<StateKey, EventId>;
    graph: AuthGraph;
  },
): Promise<DraftedState> {
  const differing: [slot: number, result: EntryRef | undefined][][] = states.map(() => []);
  for (const [key, { slot, entries }] of disputes) {
    const id = resolved.get(key);
    const result = id === undefined ? undefined : graph.refOf(id);
    for (const [index, entry] of entries.entries()) {
      if (entry !== result) differing[index]?.push([slot, result]);
    }
  }
  // Now and then an event comes back for a key that no state has. It has a slot, as all that are stored.
  const further = [...resolved].filter(([key]) => !disputes.has(key));
  const pairs = further.map(([key]) => splitStateKey(key));
  const slots = await findSlots(hs, pairs, db);
  const added = further.flatMap(([, id], index) => {
    const slot = slots.get(pairKey(...(pairs[index] ?? ["", ""])));
    return slot === undefined ? [] : [[slot, graph.refOf(id)] as const];
  });

  const fewest = Math.min(...differing.map((it) => it.length));
  const index = differing.findIndex((it) => it.length === fewest);
  const nearest = states[index] ?? EMPTY_STATE;
  if (fewest === 0 && added.length === 0) return nearest;
  const changes = [...nearest.changes, ...(differing[index] ?? []), ...added];
  return { base: nearest.base, changes: new Map(changes) };
}
