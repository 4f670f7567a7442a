import { stickyMsOf, stickyMsOfText, STICKY } from "#src/events/sticky.ts";
import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UnixMs } from "#src/homeserver/position.ts";
import { tailOf } from "#src/streams/tail.ts";
import { EVENTS } from "../event-changes.ts";
import type { NewEvent } from "../room-in-making.ts";
import { StoredEvent } from "../stored-event.ts";
import { roomsWithSticky, stickyOfRoom, type StickyRow } from "./queries-sticky.ts";
import { STICKY_EVENTS } from "./sticky-stream.ts";

/** One that clients are told of now. */
export type Sticky = StickyRow;

type Kept = {
  /** The rooms that have any, or have had lately. Others need not be looked at. */
  rooms: Promise<Set<number>> | undefined;
  /** Those that clients are told of, in the order in which they are. */
  readonly byRoom: Map<number, Promise<readonly Sticky[]>>;
};

const keptOf = held((hs): Kept => {
  const kept: Kept = { rooms: undefined, byRoom: new Map() };
  const forget = () => {
    kept.rooms = undefined;
    kept.byRoom.clear();
  };
  tailOf(hs).listen({
    changed(changes) {
      for (const { stream, roomKey, detail } of changes) {
        if (roomKey === undefined) continue;
        const isNews =
          stream === STICKY_EVENTS ||
          (stream === EVENTS && detail instanceof StoredEvent && isStickyText(detail.json));
        if (!isNews) continue;
        kept.byRoom.delete(roomKey);
        void kept.rooms?.then((it) => it.add(roomKey));
      }
    },
    missed: forget,
  });
  return kept;
});

function isStickyText(json: string): boolean {
  return json.includes(`"${STICKY}":`);
}

/** The rooms that have sticky events, or have had some lately. */
export async function stickyRooms(hs: Homeserver): Promise<ReadonlySet<number>> {
  const kept = keptOf(hs);
  const reading = (kept.rooms ??= roomsWithSticky(hs.sql).then((it) => new Set(it)));
  try {
    return await reading;
  } catch (error) {
    if (kept.rooms === reading) kept.rooms = undefined;
    throw error;
  }
}

/** The sticky events of some rooms that clients are told of, by room key, in the order in which they are. */
export async function stickyIn(
  hs: Homeserver,
  roomKeys: Iterable<number>,
): Promise<ReadonlyMap<number, readonly Sticky[]>> {
  const rooms = await stickyRooms(hs);
  if (rooms.size === 0) return NONE;
  const found = new Map<number, readonly Sticky[]>();
  const now = hs.now();
  await Promise.all(
    [...new Set(roomKeys)].map(async (roomKey) => {
      if (!rooms.has(roomKey)) return;
      const its = (await rowsOf(hs, roomKey)).filter((it) => it.untilMs > now);
      if (its.length > 0) found.set(roomKey, its);
    }),
  );
  return found;
}

const NONE: ReadonlyMap<number, readonly Sticky[]> = new Map();

async function rowsOf(hs: Homeserver, roomKey: number): Promise<readonly Sticky[]> {
  const { byRoom } = keptOf(hs);
  const known = byRoom.get(roomKey);
  if (known) return await known;
  const reading = stickyOfRoom(hs.sql, roomKey);
  byRoom.set(roomKey, reading);
  try {
    return await reading;
  } catch (error) {
    byRoom.delete(roomKey);
    throw error;
  }
}

/** Until when those of some events are sticky that are, by their keys. */
export async function stickyUntil(
  hs: Homeserver,
  events: readonly StoredEvent[],
): Promise<ReadonlyMap<number, UnixMs>> {
  const byRoom = await stickyIn(
    hs,
    events.map((it) => it.roomKey),
  );
  if (byRoom.size === 0) return NO_ENDS;
  return new Map([...byRoom.values()].flat().map((it) => [it.eventKey, it.untilMs]));
}

const NO_ENDS: ReadonlyMap<number, UnixMs> = new Map();

/** What is stored of an event of ours that is sticky. */
export function stickyRowOf({
  event,
  eventKey,
  room,
}: {
  readonly event: NewEvent;
  readonly eventKey: number;
  readonly room: { readonly roomKey: number };
}): StickyRow | undefined {
  const ms = stickyMsOf(event.wire[STICKY]);
  if (!ms) return undefined;
  const untilMs = event.event.origin_server_ts + ms;
  const { userKey: senderKey } = event.sender;
  return { eventKey, roomKey: room.roomKey, senderKey, untilMs, toldAt: eventKey };
}

/** Until when an event that came from another server is sticky: from when it was sent, or came; undefined if it is not. */
export function stickyUntilOf(
  json: string,
  { sentMs, nowMs }: { readonly sentMs: UnixMs; readonly nowMs: UnixMs },
): UnixMs | undefined {
  const ms = stickyMsOfText(json);
  if (ms === undefined) return undefined;
  const untilMs = Math.min(sentMs, nowMs) + ms;
  return untilMs > nowMs ? untilMs : undefined;
}
