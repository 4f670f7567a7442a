import { setTimeout as sleep } from "node:timers/promises";
import { type Body, type ClientEvent, present } from "../answers.ts";

/** Asks for a path as somebody; the path begins after `/_matrix/client`. */
export type Read = <Said = Body>(path: string) => Promise<Said>;

/** An event as servers exchange it, as far as it is looked at. */
export type Pdu = { readonly prev_events: readonly unknown[] };

export type WalkOptions = {
  readonly direction: "b" | "f";
  /** The size of each page. */
  readonly limit: () => number;
  readonly from?: string;
  readonly to?: string;
  /** Whether what other servers have and do not give yet is waited for: until then a page leads back to itself. */
  readonly isPatient?: boolean;
};

const PATIENCE_MS = 30_000;

/**
 * Pages through a room's history to its end.
 *
 * @returns the events in the order in which they came.
 * @spec client-server-api#get_matrixclientv3roomsroomidmessages
 */
export async function walkRoom(
  read: Read,
  roomId: string,
  { direction, limit, from, to, isPatient = false }: WalkOptions,
): Promise<ClientEvent[]> {
  const patientUntil = performance.now() + (isPatient ? PATIENCE_MS : 0);
  const events: ClientEvent[] = [];
  const seen = new Set<string>();
  for (let at = from; ;) {
    const size = limit();
    const query = new URLSearchParams({
      dir: direction,
      limit: String(size),
      ...(at !== undefined && { from: at }),
      ...(to !== undefined && { to }),
    });
    const page = await read(`/v3/rooms/${encodeURIComponent(roomId)}/messages?${query.toString()}`);
    if (page.chunk.length > size) throw new Error(`${page.chunk.length} events, not ${size}`);
    events.push(...page.chunk);
    if (page.chunk.length === 0 && page.end === at && performance.now() < patientUntil) {
      await sleep(100);
      continue;
    }
    at = page.end;
    if (at === undefined) return events;
    if (seen.has(at)) throw new Error(`the walk through ${roomId} comes back to ${at}`);
    seen.add(at);
  }
}

/** The IDs of events. */
export function idsOf(events: readonly Pick<ClientEvent, "event_id">[]): string[] {
  return events.map((it) => it.event_id);
}

/** A sync in which events are as servers exchange them. */
type FederationSync = {
  readonly rooms: {
    readonly join: Readonly<Record<string, { readonly timeline: { readonly events: Pdu[] } }>>;
  };
};

/** The most events that a sync is asked for. */
const LONGEST_TIMELINE = 1_000;

/**
 * The newest events of a room as servers exchange them, oldest first.
 *
 * @spec client-server-api#filtering
 */
export async function pdusOf(read: Read, roomId: string): Promise<Pdu[]> {
  const filter = {
    event_format: "federation",
    account_data: { types: [] },
    presence: { types: [] },
    room: {
      rooms: [roomId],
      timeline: { limit: LONGEST_TIMELINE },
      ephemeral: { types: [] },
      account_data: { types: [] },
    },
  };
  const query = new URLSearchParams({ filter: JSON.stringify(filter) });
  const answer = await read<FederationSync>(`/v3/sync?${query.toString()}`);
  return present(answer.rooms.join[roomId]).timeline.events;
}

/**
 * What keeps the newest events of a room from being one chain, in which each event was built on the one before it and
 * on nothing else, and the last is the one that nothing was built on.
 *
 * @param eventIds all of the room's, oldest first: with them the tests need not know how IDs are made.
 */
export function faultsOfChain(eventIds: readonly string[], pdus: readonly Pdu[]): string[] {
  const faults: string[] = [];
  const skipped = eventIds.length - pdus.length;
  if (skipped < 0 || (skipped > 0 && pdus.length < LONGEST_TIMELINE)) {
    return [`a sync has ${pdus.length} events, the history ${eventIds.length}`];
  }
  const builtOn = new Set<string>();
  for (const [index, pdu] of pdus.entries()) {
    const before = eventIds[skipped + index - 1];
    // In the first two versions of rooms a reference is an ID with a hash.
    const prev = pdu.prev_events.map((it) => String(Array.isArray(it) ? it[0] : it));
    for (const id of prev) builtOn.add(id);
    const expected = before === undefined ? [] : [before];
    if (JSON.stringify(prev) !== JSON.stringify(expected)) {
      faults.push(
        `${eventIds[skipped + index]} was built on ${prev.join()}, and follows ${before}`,
      );
    }
  }
  const extremities = eventIds.slice(skipped).filter((it) => !builtOn.has(it));
  if (extremities.length !== 1) faults.push(`nothing was built on any of ${extremities.join()}`);
  return faults;
}
