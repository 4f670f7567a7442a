/** Servers that answer as the specification says, of a room of a test's own. For tests alone. */

import type { RawPdu } from "#src/homeserver/remotes.ts";
import type { EventId } from "#src/kit/identifiers.ts";
import type { RemoteRoom } from "#src/rooms/received/testing.ts";

/** Which events are missed: see the operation. */
type Missed = {
  readonly latest_events: readonly EventId[];
  readonly earliest_events: readonly EventId[];
  readonly limit: number;
  readonly min_depth?: number;
};

/** What a server that has all of a room, or all but some events, knows of it, by the operations that ask for it. */
export function residentOf(remote: RemoteRoom, hidden: ReadonlySet<EventId> = new Set()) {
  const has = (id: EventId) => remote.events.has(id) && !hidden.has(id);
  const raw = (ids: Iterable<EventId>) =>
    [...ids].filter(has).map((id) => JSON.parse(remote.received(id).json) as RawPdu);
  const named = (id: EventId, names: "prev_events" | "auth_events") =>
    remote.graph.events.get(id)?.[names] ?? [];
  const chainOf = (ids: Iterable<EventId>): Set<EventId> => {
    const chain = new Set<EventId>();
    const left = [...ids];
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      for (const cited of named(id, "auth_events")) {
        if (!chain.has(cited)) left.push(cited);
        chain.add(cited);
      }
    }
    return chain;
  };
  const depthOf = (id: EventId) => remote.graph.events.get(id)?.depth ?? 0;
  const before = (from: readonly EventId[], until: readonly EventId[], limit: number) => {
    const found = new Set<EventId>();
    const left = from.flatMap((id) => named(id, "prev_events"));
    for (let id = left.shift(); id !== undefined && found.size < limit; id = left.shift()) {
      if (until.includes(id) || found.has(id) || !has(id)) continue;
      found.add(id);
      left.push(...named(id, "prev_events"));
    }
    return [...found];
  };
  const stateAt = (id: EventId) => [...(remote.events.get(id)?.before.values() ?? [])];
  return {
    getEvent: (id: EventId) => ({ origin_server_ts: 0, pdus: raw([id]) }),
    getEventAuth: (id: EventId) => ({ auth_chain: raw(chainOf([id])) }),
    getRoomState: (id: EventId) => ({
      pdus: raw(stateAt(id)),
      auth_chain: raw(chainOf(stateAt(id))),
    }),
    getRoomStateIds: (id: EventId) => ({
      pdu_ids: stateAt(id),
      auth_chain_ids: [...chainOf(stateAt(id))],
    }),
    getMissingPreviousEvents({ latest_events, earliest_events, limit, min_depth = 0 }: Missed) {
      const events = before(latest_events, earliest_events, limit);
      return { events: raw(events.toReversed().filter((id) => depthOf(id) >= min_depth)) };
    },
    backfillRoom(from: readonly EventId[], limit: number) {
      const known = from.filter(has);
      return { pdus: raw([...known, ...before(known, known, limit - known.length)]) };
    },
  };
}
