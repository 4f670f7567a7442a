import { EMPTY, isBranch, type Node, type NodeKey, type NodeRef, NODES_PER_EVENT } from "./node.ts";

/**
 * Gives nodes that are not stored yet their keys, and packs them into what is stored with an event.
 *
 * Nodes are written as numbers of seven bits to the byte, least first: the number of entries of a
 * leaf and then its slots (each as what it is above the one before) and event keys; or, for a
 * branch, 0, a mask of the digits that have a child, and the children's keys.
 */
export class NodePacker {
  readonly #eventKeys: readonly number[];
  readonly #parts: Uint8Array[][] = [[]];
  /** The nodes that were given keys, to be put into the cache once they are durable. */
  readonly packed: (readonly [NodeKey, Node])[] = [];
  readonly #keys: Map<Node, NodeKey>;

  /**
   * @param eventKeys the event's key; and, for one that may bring more nodes than go with one key, those
   *   positions that were kept free for it.
   * @param keys the keys that nodes of this same commit were given, which later events share.
   */
  constructor(eventKeys: number | readonly number[], keys: Map<Node, NodeKey>) {
    this.#eventKeys = typeof eventKeys === "number" ? [eventKeys] : eventKeys;
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
    const key = this.#append(encodeNode(stored));
    this.#keys.set(ref, key);
    this.packed.push([key, stored]);
    return key;
  }

  #append(bytes: Uint8Array): NodeKey {
    if (this.#parts.at(-1)?.length === NODES_PER_EVENT) this.#parts.push([]);
    const eventKey = this.#eventKeys[this.#parts.length - 1];
    if (eventKey === undefined) {
      throw new Error("an event brings more state than there was room kept for");
    }
    const part = this.#parts.at(-1) ?? [];
    part.push(bytes);
    return eventKey * NODES_PER_EVENT + part.length - 1;
  }

  /** What to store, by the keys that it goes with; nothing if no node came with this event. */
  rows(): { readonly eventKey: number; readonly bytes: Uint8Array }[] {
    return this.#parts.flatMap((part, index) => {
      const eventKey = this.#eventKeys[index];
      if (eventKey === undefined || part.length === 0) return [];
      return [{ eventKey, bytes: Buffer.concat(part) }];
    });
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
