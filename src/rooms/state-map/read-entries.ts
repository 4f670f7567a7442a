import type { Queryable } from "#src/homeserver/database.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { EMPTY, isBranch, type NodeKey } from "./node.ts";
import { nodesOf } from "./stored-nodes.ts";

/** All event keys of several maps, by the map's root. */
export async function eventKeysOfStates(
  hs: Homeserver,
  db: Queryable,
  roots: Iterable<NodeKey>,
): Promise<Map<NodeKey, number[]>> {
  const entries = await entriesOfStates(hs, db, roots);
  return new Map([...entries].map(([root, { events }]) => [root, events]));
}

/** The entries of a map: slots, and in the same order the keys of their events. */
export type Entries = { readonly slots: number[]; readonly events: number[] };

/**
 * All entries of several maps, by the map's root: read level by level, so that it takes as many queries as
 * the deepest has levels, however many maps there are.
 */
export async function entriesOfStates(
  hs: Homeserver,
  db: Queryable,
  roots: Iterable<NodeKey>,
): Promise<Map<NodeKey, Entries>> {
  const found = new Map<NodeKey, Entries>();
  let level: { root: NodeKey; key: NodeKey }[] = [];
  for (const root of new Set(roots)) {
    found.set(root, { slots: [], events: [] });
    if (root !== EMPTY) level.push({ root, key: root });
  }
  while (level.length > 0) {
    const nodes = await nodesOf(
      hs,
      db,
      level.map((it) => it.key),
    );
    level = level.flatMap(({ root, key }) => {
      const node = nodes.get(key);
      if (!node) throw new Error(`node ${key} of the state map is not stored`);
      if (isBranch(node)) {
        return node.children
          .filter((it): it is NodeKey => typeof it === "number" && it !== EMPTY)
          .map((child) => ({ root, key: child }));
      }
      found.get(root)?.slots.push(...node.slots);
      found.get(root)?.events.push(...node.events);
      return [];
    });
  }
  return found;
}
