import {
  type Branch,
  DIGITS,
  digitOf,
  EMPTY,
  isBranch,
  type Leaf,
  LEAF_SIZE,
  type Node,
  type NodeRef,
  NODES_PER_EVENT,
  UNREAD,
} from "./node.ts";

/** Gives a stored node: `UNREAD` for one that is not in memory, and then the work is done again (see `withNodes`). */
export type NodeSource = (key: number) => Node;

/** A difference between two versions of a map; undefined where one of them has no entry. */
export type Difference = {
  readonly slot: number;
  readonly before: number | undefined;
  readonly after: number | undefined;
};

const NO_ENTRIES: Leaf = { slots: [], events: [] };

function nodeOf(ref: NodeRef, source: NodeSource): Node {
  if (typeof ref !== "number") return ref;
  return ref === EMPTY ? NO_ENTRIES : source(ref);
}

/** The event key that a map has for a slot. */
export function getSlot(root: NodeRef, slot: number, source: NodeSource): number | undefined {
  let node = nodeOf(root, source);
  for (let level = 0; isBranch(node); level++) {
    node = nodeOf(node.children[digitOf(slot, level)] ?? EMPTY, source);
  }
  const index = indexOf(node.slots, slot);
  return node.slots[index] === slot ? node.events[index] : undefined;
}

/** A map with one more or one other entry. The same reference if it has that entry already. */
export function setSlot(root: NodeRef, slot: number, event: number, source: NodeSource): NodeRef {
  return setBelow(root, { slot, event, level: 0 }, source);
}

function setBelow(
  ref: NodeRef,
  { slot, event, level }: { slot: number; event: number; level: number },
  source: NodeSource,
): NodeRef {
  const node = nodeOf(ref, source);
  if (!isBranch(node)) {
    const index = indexOf(node.slots, slot);
    if (node.slots[index] === slot && node.events[index] === event) return ref;
    const replaced = node.slots[index] === slot ? 1 : 0;
    return leafOrBranch(
      {
        slots: node.slots.toSpliced(index, replaced, slot),
        events: node.events.toSpliced(index, replaced, event),
      },
      level,
    );
  }
  const digit = digitOf(slot, level);
  const child = node.children[digit] ?? EMPTY;
  const changed = setBelow(child, { slot, event, level: level + 1 }, source);
  return changed === child ? ref : { children: node.children.with(digit, changed) };
}

/** A map without an entry. The same reference if it has none. */
export function deleteSlot(root: NodeRef, slot: number, source: NodeSource): NodeRef {
  return deleteBelow(root, slot, 0, source);
}

function deleteBelow(ref: NodeRef, slot: number, level: number, source: NodeSource): NodeRef {
  const node = nodeOf(ref, source);
  if (!isBranch(node)) {
    const index = indexOf(node.slots, slot);
    if (node.slots[index] !== slot) return ref;
    if (node.slots.length === 1) return EMPTY;
    return { slots: node.slots.toSpliced(index, 1), events: node.events.toSpliced(index, 1) };
  }
  const digit = digitOf(slot, level);
  const child = node.children[digit] ?? EMPTY;
  const changed = deleteBelow(child, slot, level + 1, source);
  if (changed === child) return ref;
  return mergedIfSmall({ children: node.children.with(digit, changed) }, source);
}

/** A branch that has shrunk to what a leaf can hold becomes one, or the shape would tell of the past. */
function mergedIfSmall(branch: Branch, source: NodeSource): Node {
  const leaves: Leaf[] = [];
  let size = 0;
  for (const child of branch.children) {
    const node = nodeOf(child, source);
    if (isBranch(node)) return branch;
    size += node.slots.length;
    if (size > LEAF_SIZE) return branch;
    leaves.push(node);
  }
  return leafOf(leaves.flatMap((it) => it.slots.map((slot, i) => [slot, it.events[i] ?? 0])));
}

function leafOf(entries: readonly (readonly number[])[]): Leaf {
  const sorted = entries.toSorted(([a = 0], [b = 0]) => a - b);
  return { slots: sorted.map(([slot = 0]) => slot), events: sorted.map(([, event = 0]) => event) };
}

function leafOrBranch(leaf: Leaf, level: number): Node {
  if (leaf.slots.length <= LEAF_SIZE || level === DIGITS) return leaf;
  const parts = Array.from({ length: 16 }, () => ({
    slots: [] as number[],
    events: [] as number[],
  }));
  for (const [index, slot] of leaf.slots.entries()) {
    const part = parts[digitOf(slot, level)];
    part?.slots.push(slot);
    part?.events.push(leaf.events[index] ?? 0);
  }
  return {
    children: parts.map((it) => (it.slots.length === 0 ? EMPTY : leafOrBranch(it, level + 1))),
  };
}

/** Makes a map of many entries at once. */
export function mapOf(entries: Iterable<readonly [slot: number, event: number]>): NodeRef {
  const leaf = leafOf([...new Map(entries)]);
  return leaf.slots.length === 0 ? EMPTY : leafOrBranch(leaf, 0);
}

/** Calls back with every entry, in no order that means anything. */
export function forEachEntry(
  root: NodeRef,
  source: NodeSource,
  callback: (slot: number, event: number) => void,
): void {
  const node = nodeOf(root, source);
  if (isBranch(node)) {
    for (const child of node.children) if (child !== EMPTY) forEachEntry(child, source, callback);
    return;
  }
  for (const [index, slot] of node.slots.entries()) callback(slot, node.events[index] ?? 0);
}

/**
 * Calls back with the entries whose events have at least some key, and perhaps with a few others. A stored
 * node has no entry that is newer than it is itself, so what is older is not looked at.
 */
export function forEachEntrySince(
  root: NodeRef,
  oldest: number,
  source: NodeSource,
  callback: (slot: number, event: number) => void,
): void {
  if (typeof root === "number" && root < oldest * NODES_PER_EVENT) return;
  const node = nodeOf(root, source);
  if (isBranch(node)) {
    for (const child of node.children) forEachEntrySince(child, oldest, source, callback);
    return;
  }
  for (const [index, slot] of node.slots.entries()) callback(slot, node.events[index] ?? 0);
}

/** Where two maps differ. Subtrees that they share are not looked at. */
export function differences(before: NodeRef, after: NodeRef, source: NodeSource): Difference[] {
  const found: Difference[] = [];
  differBelow([before, after], source, found);
  return found;
}

function differBelow(
  [before, after]: readonly [NodeRef, NodeRef],
  source: NodeSource,
  found: Difference[],
): void {
  if (before === after) return;
  const [left, right] = [nodeOf(before, source), nodeOf(after, source)];
  // Or all that the other has would be looked at, and read.
  if (left === UNREAD || right === UNREAD) return;
  if (isBranch(left) && isBranch(right)) {
    for (let digit = 0; digit < 16; digit++) {
      const pair = [left.children[digit] ?? EMPTY, right.children[digit] ?? EMPTY] as const;
      differBelow(pair, source, found);
    }
    return;
  }
  const entries = new Map<number, [number | undefined, number | undefined]>();
  forEachEntry(left, source, (slot, event) => entries.set(slot, [event, undefined]));
  forEachEntry(right, source, (slot, event) => entries.set(slot, [entries.get(slot)?.[0], event]));
  for (const [slot, [old, now]] of entries) {
    if (old !== now) found.push({ slot, before: old, after: now });
  }
}

/** The index of a slot in a leaf, or where it would be. */
function indexOf(slots: readonly number[], slot: number): number {
  let low = 0;
  let high = slots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((slots[middle] ?? 0) < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}
