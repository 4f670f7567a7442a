import type { Change, Outcome, Stream } from "#src/streams/stream.ts";
import {
  oweSticky,
  stickyBetween,
  type StickyChange,
  type StickyOwed,
  tellSticky,
} from "./queries-sticky.ts";

/** The name of the stream, in every `Change` of it. */
export const STICKY_EVENTS = "sticky-events";

/** Says that a server is owed events that were sent before it came. */
export class StickyDelivery {
  readonly serverName: StickyOwed["serverName"];

  constructor(serverName: StickyOwed["serverName"]) {
    this.serverName = serverName;
  }
}

/** What becomes of sticky events later: clients of a room are told of some after all, or servers are sent some. */
export type StickyWrite =
  | { readonly roomKey: number; readonly told: readonly number[] }
  | { readonly owed: readonly StickyOwed[] };

export const stickyStream: Stream<StickyWrite, void> = {
  name: STICKY_EVENTS,
  positionsFor: (write) => ("owed" in write ? write.owed : write.told).length,

  async store(_hs, lane, placed) {
    const outcomes: Outcome<void>[] = [];
    for (const { write, position } of placed) {
      const changes: Change[] = [];
      if ("owed" in write) {
        const owed = write.owed.map((it, index) => ({ ...it, position: position + index }));
        oweSticky(lane, owed);
        changes.push(...owed.map((it) => changeOf({ ...it, roomKey: null })));
      } else {
        const { roomKey } = write;
        const told = await tellSticky(lane, write.told, position);
        changes.push(...told.map((it) => changeOf({ position: it, roomKey, serverName: null })));
      }
      outcomes.push({ ok: true, result: undefined, changes });
    }
    return outcomes;
  },

  changesBetween: async (sql, after, upTo) => (await stickyBetween(sql, after, upTo)).map(changeOf),
};

function changeOf({ position, roomKey, serverName }: StickyChange): Change {
  return {
    position,
    stream: STICKY_EVENTS,
    ...(roomKey !== null && { roomKey }),
    ...(serverName !== null && { detail: new StickyDelivery(serverName) }),
  };
}
