import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeNodes, NodePacker } from "./encode-nodes.ts";
import { EMPTY, type Node, type NodeKey, type NodeRef } from "./node.ts";
import {
  deleteSlot,
  differences,
  forEachEntry,
  forEachEntrySince,
  getSlot,
  mapOf,
  type NodeSource,
  setSlot,
} from "./state-map.ts";

const unstored: NodeSource = () => {
  throw new Error("no node of this test is stored");
};

const slots = fc.integer({ min: 1, max: 400 });
const events = fc.integer({ min: 1, max: 2 ** 42 });
const operations = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: fc.record({ slot: slots, event: events }) },
    fc.record({ slot: slots, event: fc.constant(undefined) }),
  ),
  { maxLength: 500 },
);

type Operation = { slot: number; event: number | undefined };

function applied(root: NodeRef, its: readonly Operation[], source = unstored): NodeRef {
  return its.reduce(
    (map, { slot, event }) =>
      event === undefined ? deleteSlot(map, slot, source) : setSlot(map, slot, event, source),
    root,
  );
}

function model(its: readonly Operation[]): Map<number, number> {
  const map = new Map<number, number>();
  for (const { slot, event } of its) {
    if (event === undefined) map.delete(slot);
    else map.set(slot, event);
  }
  return map;
}

function entriesOf(root: NodeRef, source = unstored): Map<number, number> {
  const found = new Map<number, number>();
  forEachEntry(root, source, (slot, event) => found.set(slot, event));
  return found;
}

describe("the state map", () => {
  test("holds what was put into it last", () => {
    fc.assert(
      fc.property(operations, (its) => {
        const root = applied(EMPTY, its);
        const expected = model(its);
        expect(entriesOf(root)).toEqual(expected);
        for (let slot = 1; slot <= 400; slot++) {
          expect(getSlot(root, slot, unstored)).toBe(expected.get(slot));
        }
      }),
      { numRuns: 50 },
    );
  });

  test("has a shape that follows from its content, whatever its past", () => {
    fc.assert(
      fc.property(operations, (its) => {
        expect(applied(EMPTY, its)).toEqual(mapOf(model(its)));
      }),
    );
  });

  test("is told apart from another version exactly where they differ", () => {
    fc.assert(
      fc.property(operations, operations, (shared, further) => {
        const before = applied(EMPTY, shared);
        const after = applied(before, further);
        const [old, now] = [model(shared), model([...shared, ...further])];
        const expected = [...new Set([...old.keys(), ...now.keys()])]
          .filter((slot) => old.get(slot) !== now.get(slot))
          .map((slot) => ({ slot, before: old.get(slot), after: now.get(slot) }));
        const bySlot = (a: { slot: number }, b: { slot: number }) => a.slot - b.slot;
        expect(differences(before, after, unstored).toSorted(bySlot)).toEqual(
          expected.toSorted(bySlot),
        );
      }),
    );
  });

  test("gives all entries that are new enough without looking at what is older", () => {
    fc.assert(
      fc.property(
        fc.array(slots, { minLength: 60, maxLength: 200 }),
        fc.nat(200),
        (its, oldest) => {
          const stored = new Map<NodeKey, Node>();
          let root: NodeKey = EMPTY;
          const source: NodeSource = (key) => stored.get(key) as Node;
          for (const [index, slot] of its.entries()) {
            const packer = new NodePacker(index + 1, new Map());
            root = packer.keyOf(setSlot(root, slot, index + 1, source));
            for (const [key, node] of packer.packed) stored.set(key, node);
          }
          const found = new Map<number, number>();
          forEachEntrySince(root, oldest, source, (slot, event) => found.set(slot, event));
          const wanted = [...entriesOf(root, source)].filter(([, event]) => event >= oldest);
          const bySlot = (a: readonly number[], b: readonly number[]) => (a[0] ?? 0) - (b[0] ?? 0);
          expect([...found].filter(([, event]) => event >= oldest).toSorted(bySlot)).toEqual(
            wanted.toSorted(bySlot),
          );
          const none = new Map<number, number>();
          forEachEntrySince(root, its.length + 1, source, (slot, event) => none.set(slot, event));
          expect(none.size).toBe(0);
        },
      ),
      { numRuns: 30 },
    );
  });

  test("keeps its reference when nothing changes", () => {
    const root = mapOf(Array.from({ length: 100 }, (_, i) => [i + 1, i + 1000] as const));
    expect(setSlot(root, 7, 1006, unstored)).toBe(root);
    expect(deleteSlot(root, 5000, unstored)).toBe(root);
  });

  test("comes back from storage as it was, an event's nodes at a time", () => {
    fc.assert(
      fc.property(fc.array(operations, { maxLength: 5 }), (rounds) => {
        const stored = new Map<NodeKey, Node>();
        const source: NodeSource = (key) => {
          const node = stored.get(key);
          if (!node) throw new Error("not stored");
          return node;
        };
        let root: NodeKey = EMPTY;
        for (const [index, its] of rounds.entries()) {
          const packer = new NodePacker(index + 1, new Map());
          root = packer.keyOf(applied(root, its, source));
          for (const { eventKey, bytes } of packer.rows()) {
            for (const [key, node] of decodeNodes(eventKey, bytes)) stored.set(key, node);
          }
        }
        expect(entriesOf(root, source)).toEqual(model(rounds.flat()));
      }),
    );
  });

  test("grows by little when one entry of a hundred thousand changes", () => {
    const source = (key: NodeKey) => stored.get(key) as Node;
    const stored = new Map<NodeKey, Node>();
    const keys = new Map<Node, NodeKey>();
    const all = mapOf(Array.from({ length: 100_000 }, (_, i) => [i + 1, 5_000_000 + i] as const));
    // Over several keys, as a join into a large room does.
    const first = new NodePacker(
      Array.from({ length: 100 }, (_, index) => 5_200_000 + index),
      keys,
    );
    const root = first.keyOf(all);
    for (const { eventKey, bytes } of first.rows()) {
      for (const [key, node] of decodeNodes(eventKey, bytes)) stored.set(key, node);
    }
    expect(entriesOf(root, source).size).toBe(100_000);
    const packer = new NodePacker(9_000_000, new Map());
    packer.keyOf(setSlot(root, 77_777, 9_000_000, source));
    expect(packer.rows()[0]?.bytes.length).toBeLessThan(700);
  });
});
