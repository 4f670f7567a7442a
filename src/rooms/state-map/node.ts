/**
 * The state map: an immutable map from slots (pairs of event type and state key, see `state_slots`)
 * to event keys, whose versions share what they have in common. It is a trie on the digits of a
 * slot's hash, sixteen ways at each level; a subtree of at most `LEAF_SIZE` entries is one leaf. So
 * the shape follows from the content alone, and two versions are compared where they differ.
 */

/** The most entries of a leaf. */
export const LEAF_SIZE = 16;

/** The digits that a slot's hash has; a leaf below the last may have any number of entries. */
export const DIGITS = 8;

/** A stored node: the key of the event it came with times 1024, plus its index among the nodes of that event. */
export type NodeKey = number;

/** The key of the empty map. */
export const EMPTY = 0;

/** The most nodes that can come with one event. */
export const NODES_PER_EVENT = 1024;

/** Entries in ascending order of their slots. */
export type Leaf = { readonly slots: readonly number[]; readonly events: readonly number[] };

/** Sixteen subtrees, by the digit of the level; `EMPTY` where there is none. */
export type Branch = { readonly children: readonly NodeRef[] };

export type Node = Leaf | Branch;

/** Stands for a stored node that is not in memory, until it is read. */
export const UNREAD: Node = { slots: [], events: [] };

/** A node in the database, or one that is not stored yet. */
export type NodeRef = NodeKey | Node;

export function isBranch(node: Node): node is Branch {
  return "children" in node;
}

/** The digit of a slot's hash at a level. The hash spreads neighbouring slots evenly. */
export function digitOf(slot: number, level: number): number {
  let hash = (slot ^ Math.floor(slot / 2 ** 32)) | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85_eb_ca_6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2_b2_ae_35);
  hash ^= hash >>> 16;
  return (hash >>> (4 * level)) & 15;
}
