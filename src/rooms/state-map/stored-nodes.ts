import { LRUCache } from "lru-cache";
import type { Queryable } from "#src/homeserver/database.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { decodeNodes } from "./encode-nodes.ts";
import { isBranch, type Node, type NodeKey, NODES_PER_EVENT, UNREAD } from "./node.ts";
import type { NodeSource } from "./state-map.ts";

/** The most numbers that the nodes in memory may hold together: about 64 MB. */
const MOST_NUMBERS = 4_000_000;

/** Nodes never change, so a process may keep any of them for as long as it likes. */
const cacheOf = held(
  () =>
    new LRUCache<NodeKey, Node>({
      maxSize: MOST_NUMBERS,
      sizeCalculation: (node) => 8 + (isBranch(node) ? 16 : 2 * node.slots.length),
    }),
);

/** Puts nodes that have been stored into memory. */
export function rememberNodes(hs: Homeserver, nodes: Iterable<readonly [NodeKey, Node]>): void {
  const cache = cacheOf(hs);
  for (const [key, node] of nodes) cache.set(key, node);
}

/**
 * Does something with state maps that needs their nodes. The work is a plain function; if it meets nodes that are not in
 * memory, it goes on as if there were nothing in them, all of them are read, and it is done again. So it takes as many
 * queries as a map has levels, however much of it is looked at; and it must change nothing but what it returns.
 *
 * @param db where to read: in a transaction that holds locks, that transaction.
 */
export async function withNodes<T>(
  hs: Homeserver,
  db: Queryable,
  work: (source: NodeSource) => T,
): Promise<T> {
  const cache = cacheOf(hs);
  // What this work has met stays with it, however small the cache.
  const met = new Map<NodeKey, Node>();
  for (;;) {
    const missing = new Set<NodeKey>();
    const source: NodeSource = (key) => {
      const node = met.get(key) ?? cache.get(key);
      if (!node) missing.add(key);
      return node ?? UNREAD;
    };
    try {
      const result = work(source);
      if (missing.size === 0) return result;
    } catch (error) {
      // Unless it has to do with what was missing.
      if (missing.size === 0) throw error;
    }
    await readNodes(hs, db, { missing, met });
  }
}

/** Stored nodes by their keys, from memory and, in one query, from the database. */
export async function nodesOf(
  hs: Homeserver,
  db: Queryable,
  keys: Iterable<NodeKey>,
): Promise<Map<NodeKey, Node>> {
  const cache = cacheOf(hs);
  const found = new Map<NodeKey, Node>();
  const missing: NodeKey[] = [];
  for (const key of keys) {
    const node = cache.get(key);
    if (node) found.set(key, node);
    else missing.push(key);
  }
  if (missing.length > 0) await fetchNodes(hs, db, missing, found);
  return found;
}

async function fetchNodes(
  hs: Homeserver,
  db: Queryable,
  keys: readonly NodeKey[],
  into: Map<NodeKey, Node>,
): Promise<void> {
  const cache = cacheOf(hs);
  const eventKeys = [...new Set(keys.map((key) => Math.floor(key / NODES_PER_EVENT)))];
  const rows = await db<{ event_key: number; nodes: Uint8Array }[]>`
    select event_key, nodes from state_nodes where event_key = any(${eventKeys}::bigint[])`;
  for (const row of rows) {
    for (const [key, node] of decodeNodes(row.event_key, row.nodes)) {
      into.set(key, node);
      cache.set(key, node);
    }
  }
}

/** Of so few nodes the children are read with them: whoever asks for one will ask for the next. */
const FEW = 16;

/** Reads nodes; of few, also what stands below them, so that a look-up in the largest of rooms is done in three steps. */
async function readNodes(
  hs: Homeserver,
  db: Queryable,
  { missing, met }: { missing: ReadonlySet<NodeKey>; met: Map<NodeKey, Node> },
): Promise<void> {
  const cache = cacheOf(hs);
  await fetchNodes(hs, db, [...missing], met);
  for (const key of missing) {
    if (!met.has(key)) throw new Error(`node ${key} of the state map is not stored`);
  }
  if (missing.size > FEW) return;
  const below = [...missing]
    .flatMap((key) => childrenOf(met.get(key)))
    .filter((key) => !met.has(key) && !cache.has(key));
  if (below.length > 0) await fetchNodes(hs, db, below, met);
}

function childrenOf(node: Node | undefined): NodeKey[] {
  if (!node || !isBranch(node)) return [];
  return node.children.filter((it): it is NodeKey => typeof it === "number" && it !== 0);
}
