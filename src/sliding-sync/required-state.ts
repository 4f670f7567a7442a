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
  return required.some((it) => partWants(it, type, stateKey));
}

function partWants(
  { include, exclude, lazyMembers }: RequiredPart,
  type: string,
  stateKey: string,
): boolean {
  const included = include.some(
    // All state but the members, which come lazily.
    (it) => matches(it, type, stateKey) && !(lazyMembers && type === MEMBER && isOfAll(it)),
  );
  return included && !exclude.some((it) => matches(it, type, stateKey));
}

function matches({ type, stateKey }: StateElement, itsType: string, itsKey: string): boolean {
  return (type ?? itsType) === itsType && (stateKey ?? itsKey) === itsKey;
}

function isOfAll({ type, stateKey }: StateElement): boolean {
  return type === undefined && stateKey === undefined;
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
  const parts = new Map(all.flat().map((it) => [JSON.stringify(it), it]));
  return [...parts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, it]) => it);
}
