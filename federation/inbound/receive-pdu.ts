import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { KeyLookup } from "#src/homeserver/remotes.ts";
import type { EventId, ServerName } from "#src/kit/identifiers.ts";
import { serverNameOf } from "#src/kit/identifiers.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { fetchMissingEvents } from "#src/rooms/holes/fetch-missing-events.ts";
import type { Sources } from "#src/rooms/holes/sources.ts";
import { withUnknown } from "#src/rooms/holes/with-unknown.ts";
import { checkPolicy } from "#src/rooms/policy/check-policy.ts";
import { type CheckedPdu, checkPdus } from "#src/rooms/received/check-pdus.ts";
import { type Receipt, receiveEvents } from "#src/rooms/received/receive-events.ts";
import type { ReceivedEvent } from "#src/rooms/received/received-event.ts";
import { afterOthers } from "./gap-turns.ts";

/** What became of PDUs. */
export type Received = {
  /**
   * By event ID; also of events that were fetched since these need them. Of one that the room's policy server has to be asked
   * about, and cannot be now, there is none.
   */
  readonly receipts: ReadonlyMap<EventId, Receipt>;
  /** Those of the given ones that passed the checks 1 to 3. */
  readonly passed: readonly ReceivedEvent[];
  /** Those that failed the checks 1 or 2: as if they had never come. */
  readonly dropped: readonly Extract<CheckedPdu, { ok: false }>[];
};

export type ReceiveOptions = {
  /** The server that sent them, which need not be their senders'. */
  readonly origin: ServerName;
  /** Others that may be asked for what is missing, beside that one and those of the senders. */
  readonly others?: readonly ServerName[];
  /** How keys are found, if not as always. */
  readonly keys?: KeyLookup;
  /** Who is asked for what is missing, if not this server's own port. */
  readonly remotes?: Sources["remotes"];
  /** Whether the other servers in the room hear of them from us: they were brought to us alone. */
  readonly isRelayed?: true;
  /** Gives up asking for what is missing. */
  readonly until?: AbortSignal;
  /** Those for which it is not waited any longer that the room's policy server can be asked. */
  readonly overdue?: ReadonlySet<EventId>;
  /** Whether those are passed over that have not answered lately. */
  readonly sparesAbsent?: true;
};

/**
 * Takes in PDUs of one room from another server, by the specification's seven checks in their order.
 *
 * Dropped: as if it had never come. Rejected: kept, so that we know it, but no part of the room.
 * Soft-failed: part of the graph, but neither shown to clients nor built upon.
 *
 * @spec server-server-api#checks-performed-on-receipt-of-a-pdu
 */
export async function receivePdus(
  hs: Homeserver,
  room: Room,
  pdus: readonly unknown[],
  {
    origin,
    others = [],
    keys = hs.remotes.verifyKeys,
    remotes = hs.remotes,
    until,
    overdue,
    isRelayed,
    sparesAbsent,
  }: ReceiveOptions,
): Promise<Received> {
  // 1. to 3. It is valid and signed; where its hash is not right, it is redacted.
  const checked = await checkPdus(pdus, { rules: room.rules, keys, now: hs.now() });
  const dropped = checked.filter((it) => !it.ok);
  const own = checked
    .flatMap((it) => (it.ok ? [it.received] : []))
    .filter((it) => it.event.room_id === room.roomId);
  if (own.length === 0) return { receipts: new Map(), passed: own, dropped };

  // What they stand on is settled by the events themselves, so all of it is learnt before the room's turn
  // is taken: nothing waits for another server while others wait.
  const senders = own.map((it) => serverNameOf(it.event.sender));
  const servers = [...new Set([origin, ...senders, ...others])].filter((it) => it !== hs.name);
  const sources: Sources = {
    servers,
    remotes,
    keys,
    ...(until && { until }),
    ...(sparesAbsent && { sparesAbsent }),
  };
  const takeIn = async () => {
    const news = { events: own, isNews: true };
    const { events, states } = await fetchMissingEvents(hs, room, news, sources);
    const isOverdue = (id: EventId) => overdue?.has(id) === true;
    const asked = await checkPolicy(hs, room, events, { isOverdue, ...(until && { until }) });
    // 4. to 7. It is authorised by its auth events, by the state before it, by the room as it is, and by the
    // room's policy server.
    return await receiveEvents(hs, room, asked, {
      as: "live",
      states,
      // The server that brings others' events would be the one to say what led to them. Of those that wait `fillHoles` asks
      // the servers of their senders first, and believes what they say.
      doubtsStates: true,
      ...(isRelayed && { isRelayed }),
    });
  };
  const all = new Map(own.map((it) => [it.event.event_id, it]));
  const unled = await withUnknown(hs, room, { all, names: "prev_events" });
  const receipts = unled.length > 0 ? await afterOthers(hs, room.roomKey, takeIn) : await takeIn();
  return { receipts, passed: own, dropped };
}
