import type { BlobWriter } from "#src/homeserver/blob-store.ts";
import { blobsOf } from "#src/homeserver/blobs.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Allowance } from "#src/kit/allowance.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { processesAlive } from "#src/streams/presence.ts";
import { bytesOfCopies, deleteCopies } from "./queries-media.ts";

/** What may come, in all processes together, until it is looked again how much is there: a part of the room. */
const UNSEEN_PART = 0.1;
const MOST_UNSEEN_BYTES = 256 * 1024 * 1024;

/** How much of what comes counts as one upload of whoever wants it. */
const BYTES_OF_ONE = 4 * 1024 * 1024;

/** How many copies give way by one statement. */
const BATCH = 200;

/** When whoever found no room may try again. */
const AGAIN_MS = 10_000;

/**
 * Begins a blob for a copy of what is elsewhere. As it is written, those copies give way that were wanted least lately.
 * Its `write` throws MatrixError M_LIMIT_EXCEEDED if what is on its way here leaves no room.
 *
 * @param allowance of whoever wants it.
 */
export async function createCopyBlob(hs: Homeserver, allowance: Allowance): Promise<BlobWriter> {
  const room = roomOf(hs);
  const writer = await blobsOf(hs).create();
  let taken = 0;
  // From then on its row counts, or nothing is left of it.
  const end = () => {
    room.giveBack(taken);
    taken = 0;
  };
  return {
    ...writer,
    async write(chunks) {
      const bytes = chunks.reduce((sum, it) => sum + it.length, 0);
      taken += bytes;
      allowance.count(bytes / BYTES_OF_ONE);
      await room.take(bytes);
      await writer.write(chunks);
    },
    commit: async () => await writer.commit().finally(end),
    discard: async () => await writer.discard().finally(end),
  };
}

/** The room for copies. How much of it is taken is asked of the database now and then, and counted in between. */
class RoomForCopies {
  readonly #hs: Homeserver;
  /** Of what has no row yet. */
  #comingBytes = 0;
  /** How much may come before it is looked again. */
  #leftBytes = 0;
  #making: Promise<void> | undefined;

  constructor(hs: Homeserver) {
    this.#hs = hs;
  }

  /** @throws MatrixError M_LIMIT_EXCEEDED */
  async take(bytes: number): Promise<void> {
    this.#comingBytes += bytes;
    this.#leftBytes -= bytes;
    if (this.#leftBytes >= 0) return;
    this.#making ??= this.#make().finally(() => (this.#making = undefined));
    await this.#making;
  }

  /** What was taken is counted by its row from now on, or has come to nothing. */
  giveBack(bytes: number): void {
    this.#comingBytes -= bytes;
  }

  async #make(): Promise<void> {
    const hs = this.#hs;
    const { maxRemoteCopyBytes, maxUploadBytes } = hs.config.media;
    // However little room there is, what somebody wants now has some.
    const mostBytes = Math.max(maxRemoteCopyBytes, maxUploadBytes);
    const unseenBytes = Math.min(mostBytes * UNSEEN_PART, MOST_UNSEEN_BYTES);
    let overBytes = (await bytesOfCopies(hs.sql)) + this.#comingBytes - mostBytes;
    while (overBytes > 0) {
      const asked = { before: hs.now(), limit: BATCH, mostBytes: overBytes };
      const { blobs, bytes } = await deleteCopies(hs.sql, asked);
      if (blobs.length === 0) break;
      await blobsOf(hs).remove(blobs);
      overBytes -= bytes;
    }
    if (overBytes > unseenBytes) {
      throw new MatrixError("M_LIMIT_EXCEEDED", "Too much is on its way to this server", {
        fields: { retry_after_ms: AGAIN_MS },
      });
    }
    this.#leftBytes = unseenBytes / processesAlive(hs);
  }
}

const roomOf = held((hs) => new RoomForCopies(hs));
