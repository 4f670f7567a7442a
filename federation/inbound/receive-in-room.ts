import { Counter } from "prom-client";
import { parsePdu } from "#src/events/parse-pdu.ts";
import { isDatabaseAway } from "#src/homeserver/connection-errors.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import { isStorageFull } from "#src/homeserver/storage-full.ts";
import { type EventId, type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import type { Room } from "#src/rooms/find-room.ts";
import type { ReceivedEvent } from "#src/rooms/received/received-event.ts";
import { keepUnsettled } from "./queries-unsettled.ts";
import { type Received, receivePdus } from "./receive-pdu.ts";

/** What is said of an event: nothing, or why it was not taken in. */
export type PduAnswer = { readonly error?: string };
export type PduAnswers = readonly (readonly [eventId: string, PduAnswer])[];

type From = { readonly origin: ServerName; readonly until: AbortSignal };

const received = new Counter({
  name: "archipel_received_pdus_total",
  help: "Events in transactions of other servers, by what became of them.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});

/**
 * Takes in events of one room from a transaction. What can be neither stored nor refused now is kept, to
 * be tried again: nothing that passed the checks 1 to 3 is thrown away, nor what others have made whose keys cannot be had now.
 */
export async function receiveInRoom(
  hs: Homeserver,
  room: Room,
  pdus: readonly unknown[],
  from: From,
): Promise<PduAnswers> {
  let result: Received;
  try {
    result = await receivePdus(hs, room, pdus, from);
  } catch (error) {
    // Without a database, or room in it, nothing can be kept: the other server sends it again.
    if (isDatabaseAway(error) || isStorageFull(error)) throw error;
    return await afterFailure(hs, room, pdus, { ...from, error });
  }
  return await answersTo(hs, room, result, from.origin);
}

/** Of several that cannot be taken in together each is tried alone: so at most one of them is at fault. */
async function afterFailure(
  hs: Homeserver,
  room: Room,
  pdus: readonly unknown[],
  { error, ...from }: From & { readonly error: unknown },
): Promise<PduAnswers> {
  if (pdus.length > 1) {
    const answers: (readonly [string, PduAnswer])[] = [];
    for (const pdu of pdus) answers.push(...(await receiveInRoom(hs, room, [pdu], from)));
    return answers;
  }
  const parsed = parsePdu(pdus[0], room.rules);
  const eventId = parsed.ok ? parsed.event.event_id : undefined;
  const { origin } = from;
  hs.log.error({ err: error, origin, roomId: room.roomId, eventId }, "an event made us fail");
  received.inc({ outcome: "failed" });
  if (!parsed.ok) return [];
  const kept = await keepUnsettled(hs, room, origin, [parsed]);
  return [[parsed.event.event_id, answerTo(kept.has(parsed.event.event_id))]];
}

async function answersTo(
  hs: Homeserver,
  room: Room,
  { receipts, passed, dropped }: Received,
  origin: ServerName,
): Promise<PduAnswers> {
  const answers: (readonly [string, PduAnswer])[] = [];
  const { roomId } = room;
  // Whoever sends us their own events can be asked for the keys of these, and ours we have.
  const isOfOthers = ({ event }: Pick<ReceivedEvent, "event">) =>
    event.room_id === roomId && ![origin, hs.name].includes(serverNameOf(event.sender));
  const settled = new Set<EventId>();
  for (const { event } of passed) {
    const receipt = receipts.get(event.event_id) ?? { outcome: "unverifiable" };
    received.inc({ outcome: receipt.outcome });
    if (receipt.outcome === "unverifiable") continue;
    settled.add(event.event_id);
    // What was rejected has been dealt with too.
    answers.push([event.event_id, {}]);
    if (!("reason" in receipt)) continue;
    hs.log.info(
      { origin, roomId, eventId: event.event_id, ...receipt },
      "an event was not accepted",
    );
  }
  const undecided = dropped.flatMap((it) => it.undecided ?? []).filter(isOfOthers);
  const unsettled = [...passed.filter((it) => !settled.has(it.event.event_id)), ...undecided];
  const kept = unsettled.length > 0 ? await keepUnsettled(hs, room, origin, unsettled) : NONE;
  for (const { event } of unsettled) {
    const isKept = kept.has(event.event_id);
    answers.push([event.event_id, answerTo(isKept)]);
    hs.log.info(
      { origin, roomId, eventId: event.event_id, isKept },
      "an event cannot be judged yet",
    );
  }
  const waiting = new Set(undecided.map((it) => it.event.event_id));
  for (const { eventId, check, reason } of dropped) {
    const waits = eventId !== undefined && waiting.has(eventId);
    received.inc({ outcome: waits ? "unverifiable" : "dropped" });
    if (waits) continue;
    hs.log.info({ origin, roomId, eventId, check, reason }, "an event was dropped");
    if (eventId !== undefined) answers.push([eventId, { error: reason }]);
  }
  return answers;
}

const NONE: ReadonlySet<EventId> = new Set();

/** What is not kept may be sent again. */
function answerTo(isKept: boolean): PduAnswer {
  return isKept ? {} : { error: "What is needed to judge it could not be had" };
}
