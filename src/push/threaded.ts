/** Events of one thread that count as unread, in order: their keys, and their places in the room's count. */
export type Threaded = { readonly keys: number[]; readonly ordinals: number[] };

/** Puts an event where it belongs, unless it is there. */
export function putIn(
  { keys, ordinals }: Threaded,
  { eventKey, ordinal }: { readonly eventKey: number; readonly ordinal: number },
): void {
  const index = indexAfter(keys, eventKey);
  if (keys[index - 1] === eventKey) return;
  keys.splice(index, 0, eventKey);
  ordinals.splice(index, 0, ordinal);
}

/** Takes an event out, if it is there. */
export function takeOut({ keys, ordinals }: Threaded, eventKey: number): void {
  const index = indexAfter(keys, eventKey) - 1;
  if (keys[index] !== eventKey) return;
  keys.splice(index, 1);
  ordinals.splice(index, 1);
}

/** The index of the first number after one, of numbers in order. */
export function indexAfter(numbers: readonly number[], after: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
