import { afterAll, beforeAll, expect, test } from "vitest";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { testHomeservers, type TestHomeservers } from "#src/testing.ts";
import { insertNodes } from "../queries-persist.ts";
import { NodePacker } from "./encode-nodes.ts";
import { EMPTY, type Node, type NodeKey } from "./node.ts";
import { differences, forEachEntry, getSlot, type NodeSource, setSlot } from "./state-map.ts";
import { withNodes } from "./stored-nodes.ts";

const ENTRIES = 3_000;
const FIRST_KEY = 1_000_000;

let servers: TestHomeservers;
let hs: Homeserver;
/** The state once each of the entries was there. */
const roots: NodeKey[] = [];

beforeAll(async () => {
  servers = await testHomeservers(1);
  ({ hs } = servers);
  const stored = new Map<NodeKey, Node>();
  const source: NodeSource = (key) => stored.get(key) as Node;
  const rows: { eventKey: number; bytes: Uint8Array }[] = [];
  let root: NodeKey = EMPTY;
  for (let index = 0; index < ENTRIES; index++) {
    const eventKey = FIRST_KEY + index;
    const packer = new NodePacker(eventKey, new Map());
    root = packer.keyOf(setSlot(root, index + 1, eventKey, source));
    for (const [key, node] of packer.packed) stored.set(key, node);
    rows.push(...packer.rows());
    roots.push(root);
  }
  await hs.lane.transaction(async (tx) => await Promise.resolve(insertNodes(tx, rows)));
});
afterAll(async () => await servers.close());

/** What some work with nodes comes to in a process that has none in memory, and how many queries that takes. */
async function worked<T>(work: (source: NodeSource) => T): Promise<{ result: T; queries: number }> {
  let queries = 0;
  const db = new Proxy(hs.sql, {
    apply(target, self, args) {
      queries += 1;
      return Reflect.apply(target, self, args);
    },
  });
  // With a memory of its own.
  const result = await withNodes({ ...hs }, db, work);
  return { result, queries };
}

test("a state that grew event by event is read level by level, however large", async () => {
  const last = roots.at(-1) ?? EMPTY;
  const whole = await worked((source) => {
    const found = new Map<number, number>();
    forEachEntry(last, source, (slot, event) => found.set(slot, event));
    return found;
  });
  expect(whole.result.size).toBe(ENTRIES);
  expect(whole.queries).toBeLessThan(8);
});

test("so are many look-ups, and what differs between two", async () => {
  const last = roots.at(-1) ?? EMPTY;
  const slots = Array.from({ length: 200 }, (_, index) => 1 + index * 10);
  const many = await worked((source) => slots.map((it) => getSlot(last, it, source)));
  expect(many.result).toEqual(slots.map((it) => FIRST_KEY + it - 1));
  expect(many.queries).toBeLessThan(8);

  const earlier = roots.at(-101) ?? EMPTY;
  const differing = await worked((source) => differences(earlier, last, source));
  expect(differing.result.map((it) => it.slot).toSorted((a, b) => a - b)).toEqual(
    Array.from({ length: 100 }, (_, index) => ENTRIES - 99 + index),
  );
  expect(differing.queries).toBeLessThan(8);
});

test("what the work itself throws comes out, and what is not stored is said", async () => {
  const last = roots.at(-1) ?? EMPTY;
  const fails = (source: NodeSource) => {
    if (getSlot(last, 1, source) === FIRST_KEY) throw new Error("as it should");
    throw new Error("too early");
  };
  await expect(worked(fails)).rejects.toThrow("as it should");
  await expect(worked((source) => getSlot(7, 1, source))).rejects.toThrow("is not stored");
});
