import type { Readable } from "node:stream";

/**
 * What a stream brings, as it is taken; ends it if it brings nothing for too long while somebody waits. Who takes it
 * slowly may do so.
 *
 * @throws what ended the stream, or that it has brought nothing.
 */
export async function* unlessIdle(source: Readable, idleMs: number): AsyncGenerator<Uint8Array> {
  const wait = () =>
    setTimeout(() => source.destroy(new Error(`Nothing has come for ${idleMs} ms`)), idleMs);
  let waiting = wait();
  try {
    for await (const chunk of source) {
      clearTimeout(waiting);
      yield chunk as Uint8Array;
      waiting = wait();
    }
  } finally {
    clearTimeout(waiting);
  }
}
