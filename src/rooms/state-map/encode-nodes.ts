import { EMPTY, isBranch, type Node, type NodeKey, type NodeRef, NODES_PER_EVENT } from "./node.ts";

/**
 * Gives nodes that are not stored yet their keys, and packs them into what is stored with an event.
 *
 * Nodes are written as numbers of seven bits to the byte, least first: the number of entries of a
 * leaf and then its slots (each as what it is above the one before) and event keys; or, for a
 * branch, 0, a mask of the digits that have a child, and the children's keys.
 */
export class NodePacker {
  readonly #eventKey: number;
  readonly #nodes: Uint8Array[] = [];
  /** The nodes that were given keys, to be put into the cache once they are durable. */
  readonly packed: (readonly [NodeKey, Node])[] = [];
  readonly #keys: Map<Node, NodeKey>;

  /** @param keys the keys that nodes of this same commit were given, which later events share. */
  constructor(eventKey: number, keys: Map<Node, NodeKey>) {
    this.#eventKey = eventKey;
    this.#keys = keys;
  }

  /** The key of a node, which is packed first if it has none. */
  keyOf(ref: NodeRef): NodeKey {
    if (typeof ref === "number") return ref;
    const known = this.#keys.get(ref);
    if (known !== undefined) return known;

    const stored: Node = isBranch(ref)
      ? { children: ref.children.map((child) => this.keyOf(child)) }
      : ref;
    if (this.#nodes.length === NODES_PER_EVENT) {
      throw new Error("one event brings more state than its nodes can hold");
    }
    const key = this.#eventKey * NODES_PER_EVENT + this.#nodes.length;
    this.#nodes.push(encodeNode(stored));
    this.#keys.set(ref, key);
    this.packed.push([key, stored]);
    return key;
  }

  get isFull(): boolean {
    return this.#nodes.length > NODES_PER_EVENT - 64;
  }

  /** The bytes to store, or undefined if no node came with this event. */
  bytes(): Uint8Array | undefined {
    return this.#nodes.length === 0 ? undefined : Buffer.concat(this.#nodes);
  }
}

function encodeNode(node: Node): Uint8Array {
  const bytes: number[] = [];
  if (isBranch(node)) {
    const mask = node.children.reduce<number>(
      (bits, child, digit) => (child === EMPTY ? bits : bits | (1 << digit)),
      0,
    );
    writeNumber(bytes, 0);
    writeNumber(bytes, mask);
    for (const child of node.children) if (child !== EMPTY) writeNumber(bytes, child as NodeKey);
    return Uint8Array.from(bytes);
  }
  writeNumber(bytes, node.slots.length);
  let last = 0;
  for (const [index, slot] of node.slots.entries()) {
    writeNumber(bytes, slot - last);
    writeNumber(bytes, node.events[index] ?? 0);
    last = slot;
  }
  return Uint8Array.from(bytes);
}

function writeNumber(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

/** The nodes that are stored with an event, with their keys. */
export function decodeNodes(eventKey: number, bytes: Uint8Array): (readonly [NodeKey, Node])[] {
  const nodes: (readonly [NodeKey, Node])[] = [];
  const reader = new NumberReader(bytes);
  while (!reader.atEnd) {
    nodes.push([eventKey * NODES_PER_EVENT + nodes.length, decodeNode(reader)]);
  }
  return nodes;
}

function decodeNode(reader: NumberReader): Node {
  const size = reader.next();
  if (size === 0) {
    const mask = reader.next();
    const children: NodeKey[] = [];
    for (let digit = 0; digit < 16; digit++) {
      children.push((mask & (1 << digit)) === 0 ? EMPTY : reader.next());
    }
    return { children };
  }
  const slots: number[] = [];
  const events: number[] = [];
  let last = 0;
  for (let index = 0; index < size; index++) {
    last += reader.next();
    slots.push(last);
    events.push(reader.next());
  }
  return { slots, events };
}

class NumberReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  next(): number {
    let value = 0;
    let unit = 1;
    for (;;) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new Error("stored state nodes end within a number");
      value += (byte & 127) * unit;
      if (byte < 128) return value;
      unit *= 128;
    }
  }
}
