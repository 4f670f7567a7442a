import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";

/** Which state a client wants of a room: what any of these parts wants. MSC4186. */
export type RequiredState = readonly RequiredPart[];

export type RequiredPart = {
  readonly include: readonly StateElement[];
  readonly exclude: readonly StateElement[];
  /** Whether members come only as they are needed to show a timeline. */
  readonly lazyMembers: boolean;
};

/** A type and a state key; what is left out stands for all. */
export type StateElement = {
  readonly type?: string | undefined;
  readonly stateKey?: string | undefined;
};

const MEMBER = "m.room.member";

/** Whether a client wants a piece of state whoever is in its timeline. */
export function wantsState(required: RequiredState, type: string, stateKey: string): boolean {
  const pair = [type, stateKey, pairKey(type, stateKey)] as const;
  return has(namesIn(required), pair) && required.some((it) => partWants(it, pair));
}

function partWants({ include, exclude, lazyMembers }: RequiredPart, pair: KeyedPair): boolean {
  const names = lookupOf(include);
  // All state but the members, which come lazily.
  const isOfAll = names.isAll && !(lazyMembers && pair[0] === MEMBER);
  return (isOfAll || isNamed(names, pair)) && !has(lookupOf(exclude), pair);
}

type KeyedPair = readonly [type: string, stateKey: string, key: string];

/** Elements as they are looked for: a client may name thousands, and a room has as many pieces of state. */
type Lookup = {
  readonly isAll: boolean;
  readonly types: ReadonlySet<string>;
  readonly stateKeys: ReadonlySet<string>;
  readonly pairs: ReadonlySet<string>;
};

const lookups = new WeakMap<readonly StateElement[], Lookup>();
const namesOfAll = new WeakMap<RequiredState, Lookup>();

function lookupOf(elements: readonly StateElement[]): Lookup {
  const known = lookups.get(elements) ?? lookupFor(elements);
  lookups.set(elements, known);
  return known;
}

/** All that any of the parts names. */
function namesIn(required: RequiredState): Lookup {
  const known = namesOfAll.get(required) ?? lookupFor(required.flatMap((it) => it.include));
  namesOfAll.set(required, known);
  return known;
}

function lookupFor(elements: readonly StateElement[]): Lookup {
  const [types, stateKeys, pairs] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let isAll = false;
  for (const { type, stateKey } of elements) {
    if (type !== undefined && stateKey !== undefined) pairs.add(pairKey(type, stateKey));
    else if (type !== undefined) types.add(type);
    else if (stateKey !== undefined) stateKeys.add(stateKey);
    else isAll = true;
  }
  return { isAll, types, stateKeys, pairs };
}

function has(lookup: Lookup, pair: KeyedPair): boolean {
  return lookup.isAll || isNamed(lookup, pair);
}

function isNamed({ types, stateKeys, pairs }: Lookup, [type, stateKey, key]: KeyedPair): boolean {
  return types.has(type) || stateKeys.has(stateKey) || pairs.has(key);
}

/** Whether members are to come only as they are needed. */
export function isLazy(required: RequiredState): boolean {
  return required.some((it) => it.lazyMembers);
}

/** Whether only a look at the whole state of a room says what of it is wanted. */
export function wantsUnnamed(required: RequiredState): boolean {
  return required.some(({ include }) =>
    include.some((it) => it.type === undefined || it.stateKey === undefined),
  );
}

/** Whether the members of a room that are not named may be wanted, so that all have to be known. */
export function wantsAllMembers(required: RequiredState, userId: string): boolean {
  return required.some(({ include, lazyMembers }) =>
    include.some(
      ({ type, stateKey }) =>
        (type ?? MEMBER) === MEMBER &&
        (stateKey === undefined || (stateKey.startsWith("@") && stateKey !== userId)) &&
        !(lazyMembers && type === undefined),
    ),
  );
}

/** The pairs of type and state key that are wanted by name. */
export function namedPairs(required: RequiredState): StatePair[] {
  const pairs = new Map<string, StatePair>();
  for (const { include } of required) {
    for (const { type, stateKey } of include) {
      if (type === undefined || stateKey === undefined) continue;
      const pair: StatePair = [type, stateKey];
      if (wantsState(required, ...pair)) pairs.set(pairKey(...pair), pair);
    }
  }
  return [...pairs.values()];
}

/** All that any of several clients' wishes comes to. */
export function unionOf(all: readonly RequiredState[]): RequiredState {
  const [first] = all;
  if (first && all.every((it) => it === first)) return first;
  const parts = new Map(all.flat().map((it) => [textOf(it), it]));
  return [...parts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, it]) => it);
}

const texts = new WeakMap<object, string>();

/** A state or a part of one as text, by which it is compared with others. */
export function textOf(it: RequiredState | RequiredPart): string {
  let known = texts.get(it);
  if (known === undefined) {
    known = JSON.stringify(it);
    texts.set(it, known);
  }
  return known;
}
