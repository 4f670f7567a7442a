/** A binary heap: gives back the smallest of what it holds, in O(log n). */
export class Heap<T> {
  readonly #items: T[] = [];
  readonly #comesBefore: (x: T, y: T) => boolean;

  /** @param comesBefore a strict order without ties, or the order of ties is chance. */
  constructor(comesBefore: (x: T, y: T) => boolean) {
    this.#comesBefore = comesBefore;
  }

  push(item: T): void {
    const items = this.#items;
    let hole = items.length;
    items.push(item);
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = items[parent] as T;
      if (!this.#comesBefore(item, above)) break;
      items[hole] = above;
      hole = parent;
    }
    items[hole] = item;
  }

  /** Takes out the smallest item, or gives undefined if none is left. */
  pop(): T | undefined {
    const items = this.#items;
    const smallest = items[0];
    const last = items.pop();
    if (items.length > 0) this.#sink(last as T);
    return smallest;
  }

  /** Puts an item in place of the root, then down to where it belongs. */
  #sink(item: T): void {
    const items = this.#items;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= items.length) break;
      const right = child + 1;
      if (right < items.length && this.#comesBefore(items[right] as T, items[child] as T)) {
        child = right;
      }
      if (!this.#comesBefore(items[child] as T, item)) break;
      items[hole] = items[child] as T;
      hole = child;
    }
    items[hole] = item;
  }
}
