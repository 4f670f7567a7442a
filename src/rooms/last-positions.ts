import { held } from "#src/homeserver/held.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Position } from "#src/homeserver/position.ts";
import { lru } from "#src/kit/lru.ts";
import { tailOf } from "#src/streams/tail.ts";
import { EVENTS } from "./event-changes.ts";
import { EventStatus, StoredEvent } from "./stored-event.ts";

/** The positions of the newest of some events of rooms, kept in memory and made true by what the streams tell. */
type NewestOf = (
  hs: Homeserver,
  roomKeys: readonly number[],
) => Promise<ReadonlyMap<number, Position>>;

/**
 * @param counts which events it is about.
 * @param read reads them from the database; rooms that have none are left out.
 */
export function newestPositions(counts: (event: StoredEvent) => boolean, read: NewestOf): NewestOf {
  const bookOf = held((hs) => {
    const known = lru<number, Position>(50_000);
    // What is heard while others are read from the database, which may not have it.
    const heard = new Set<Map<number, Position>>();
    tailOf(hs).listen({
      changed(changes) {
        for (const { stream, roomKey, detail } of changes) {
          if (stream !== EVENTS || roomKey === undefined || !isNews(detail)) continue;
          if (!counts(detail)) continue;
          const { anchor = 0 } = detail;
          if ((known.peek(roomKey) ?? anchor) < anchor) known.set(roomKey, anchor);
          for (const it of heard) it.set(roomKey, anchor);
        }
      },
      missed: () => known.clear(),
    });
    return { known, heard };
  });

  return async (hs, roomKeys) => {
    const { known, heard } = bookOf(hs);
    const found = new Map<number, Position>();
    const unknown: number[] = [];
    for (const roomKey of roomKeys) {
      const position = known.get(roomKey);
      if (position === undefined) unknown.push(roomKey);
      else found.set(roomKey, position);
    }
    if (unknown.length === 0) return found;
    const meanwhile = new Map<number, Position>();
    heard.add(meanwhile);
    try {
      for (const [roomKey, stored] of await read(hs, unknown)) {
        const position = Math.max(stored, meanwhile.get(roomKey) ?? 0);
        known.set(roomKey, position);
        found.set(roomKey, position);
      }
    } finally {
      heard.delete(meanwhile);
    }
    return found;
  };
}

function isNews(detail: unknown): detail is StoredEvent {
  if (!(detail instanceof StoredEvent)) return false;
  return detail.status === EventStatus.accepted && detail.anchorOffset === 0;
}

/** The positions of the newest events of rooms that are shown to clients, by room key. */
export const lastPositionsOf = newestPositions(
  () => true,
  async (hs, roomKeys) => {
    const rows = await hs.sql<{ room_key: number; last_position: number }[]>`
      select room_key, last_position from rooms where room_key = any(${roomKeys}::bigint[])`;
    return new Map(rows.map((it) => [it.room_key, it.last_position]));
  },
);
