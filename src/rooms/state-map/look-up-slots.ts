import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { digitOf, EMPTY, isBranch, type Node, type NodeKey } from "./node.ts";
import { getSlot } from "./state-map.ts";
import { nodesOf } from "./stored-nodes.ts";

export type Lookup = { readonly root: NodeKey; readonly slot: number };

/**
 * The event keys that several maps have for slots, in the order of the questions. All go down their maps
 * together, so that it takes as many queries as the deepest map has levels, however many maps there are.
 */
export async function lookUpSlots(
  hs: Homeserver,
  db: Queryable,
  lookups: readonly Lookup[],
): Promise<(number | undefined)[]> {
  const found: (number | undefined)[] = lookups.map(() => undefined);
  let open = lookups.map(({ root, slot }, index) => ({ index, key: root, slot }));
  for (let level = 0; ; level++) {
    open = open.filter(({ key }) => key !== EMPTY);
    if (open.length === 0) return found;
    const nodes = await nodesOf(hs, db, new Set(open.map(({ key }) => key)));
    open = open.flatMap(({ index, key, slot }) => {
      const node = nodes.get(key);
      if (!node) throw new Error(`node ${key} of the state map is not stored`);
      if (isBranch(node)) return [{ index, slot, key: childOf(node, slot, level) }];
      found[index] = getSlot(node, slot, noOther);
      return [];
    });
  }
}

function childOf(node: Extract<Node, { children: unknown }>, slot: number, level: number): NodeKey {
  const child = node.children[digitOf(slot, level)] ?? EMPTY;
  if (typeof child !== "number") throw new Error("a stored node has a child that is not stored");
  return child;
}

function noOther(): never {
  throw new Error("a leaf leads nowhere");
}
