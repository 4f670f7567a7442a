import { setTimeout as sleep } from "node:timers/promises";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { tailOf } from "#src/streams/tail.ts";
import { EVENTS, MemberMoved } from "../event-changes.ts";
import { StoredEvent } from "../stored-event.ts";
import { partialRoomKeys } from "./queries-partial.ts";

type Known = {
  rooms: Promise<ReadonlySet<number>> | undefined;
  /** The same, once it has been read. */
  read: ReadonlySet<number>;
};

/** The rooms whose members are not all known yet, by their keys; read again when that may have changed, in whatever process. */
const knownOf = held((hs): Known => {
  const known: Known = { rooms: undefined, read: new Set() };
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, detail } of changes) {
        if (stream !== EVENTS) continue;
        if (detail instanceof MemberMoved || (detail instanceof StoredEvent && bearsOn(detail))) {
          known.rooms = undefined;
        }
      }
    },
    missed() {
      known.rooms = undefined;
    },
  });
  return known;

  /** Whether a room's members may be unknown from here on; or known, where somebody comes to it again. */
  function bearsOn({ isOnPartial, roomKey, type }: StoredEvent): boolean {
    return isOnPartial || (type === "m.room.member" && known.read.has(roomKey));
  }
});

/** The keys of those rooms that we have come to without knowing all of their members yet. */
export async function partialRoomsOf(hs: Homeserver): Promise<ReadonlySet<number>> {
  const known = knownOf(hs);
  known.rooms ??= partialRoomKeys(hs.sql).then((keys) => (known.read = new Set(keys)));
  try {
    return await known.rooms;
  } catch (error) {
    known.rooms = undefined;
    throw error;
  }
}

/** How long a request waits for a room's members, and how often it looks. */
const LONGEST_WAIT_MS = 60_000;
const LOOK_MS = 100;

/**
 * Waits until all members of a room are known.
 *
 * @param signal whoever gives up waiting.
 * @throws MatrixError M_UNKNOWN (504) if that takes too long.
 */
export async function membersKnown(
  hs: Homeserver,
  roomKey: number,
  signal?: AbortSignal,
): Promise<void> {
  if (await membersKnownWithin(hs, roomKey, { waitMs: LONGEST_WAIT_MS, signal })) return;
  throw new MatrixError("M_UNKNOWN", "The members of this room are not known yet", { status: 504 });
}

/** Waits until all members of a room are known, but no longer than a time. @returns whether they are. */
export async function membersKnownWithin(
  hs: Homeserver,
  roomKey: number,
  { waitMs, signal }: { readonly waitMs: number; readonly signal?: AbortSignal | undefined },
): Promise<boolean> {
  const until = performance.now() + waitMs;
  let rooms = await partialRoomsOf(hs);
  if (!rooms.has(roomKey)) return true;
  // Of a room in which nobody of ours is left, nobody is told that its members are known.
  while (rooms.has(roomKey)) {
    if (performance.now() > until || hs.stopping.aborted || signal?.aborted) return false;
    rooms = await nextLook(hs);
  }
  knownOf(hs).rooms = undefined;
  return true;
}

const looksOf = held((): { next: Promise<ReadonlySet<number>> | undefined } => ({
  next: undefined,
}));

/** The rooms whose members are not all known in a moment: asked for once, however many wait. */
async function nextLook(hs: Homeserver): Promise<ReadonlySet<number>> {
  const looks = looksOf(hs);
  looks.next ??= (async () => {
    await sleep(LOOK_MS, undefined, { ref: false });
    looks.next = undefined;
    return new Set(await partialRoomKeys(hs.sql));
  })();
  return await looks.next;
}
