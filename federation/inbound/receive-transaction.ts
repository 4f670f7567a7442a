import { Counter } from "prom-client";
import { parsePdu } from "#src/events/parse-pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { registry } from "#src/homeserver/metrics.ts";
import type { EventId, RoomId, ServerName } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import type { Receipt } from "#src/rooms/received/receive-events.ts";
import { receiveEdus } from "../edus/receive-edus.ts";
import { type Door, doorsFor } from "./doors.ts";
import { answerBefore, rememberAnswer } from "./queries-transactions.ts";
import { receiveOutside } from "./receive-outside.ts";
import { receivePdus } from "./receive-pdu.ts";
import { inServersTurn } from "./transaction-turns.ts";

/** What a server sends us of its own accord. */
export type ReceivedTransaction = {
  readonly origin: ServerName;
  readonly txnId: string;
  readonly pdus: readonly unknown[];
  readonly edus: readonly unknown[];
};

const received = new Counter({
  name: "archipel_received_pdus_total",
  help: "Events in transactions of other servers, by what became of them.",
  labelNames: ["outcome"] as const,
  registers: [registry],
});

/** For how long the other server waits while we ask for what its events stand on. */
const MOST_ASKING_MS = 15_000;

/**
 * Takes in a transaction of another server: what it tells beside events, then the events of each room
 * in their order, different rooms at once. What has been taken in is durable before it is answered.
 *
 * @returns the answer's JSON; to one that was answered before, the same again.
 * @throws MatrixError M_LIMIT_EXCEEDED of a server that does not wait for its answers.
 * @spec server-server-api#put_matrixfederationv1sendtxnid
 */
export async function receiveTransaction(
  hs: Homeserver,
  transaction: ReceivedTransaction,
): Promise<string> {
  return await inServersTurn(hs, transaction, async () => {
    const { origin, txnId, pdus, edus } = transaction;
    const before = await answerBefore(hs, origin, txnId);
    if (before !== undefined) return before;
    // First, since it is soon done: keys to read an event with are there when the event is.
    await receiveEdus(hs, origin, edus);
    const answer = JSON.stringify({ pdus: await receiveFrom(hs, origin, pdus) });
    await rememberAnswer(hs, { origin, txnId, answer });
    return answer;
  });
}

/** What is said of an event: nothing, or why it was not taken in. */
type PduAnswer = { readonly error?: string };
type Answers = readonly (readonly [eventId: string, PduAnswer])[];

async function receiveFrom(
  hs: Homeserver,
  origin: ServerName,
  pdus: readonly unknown[],
): Promise<Record<string, PduAnswer>> {
  const byRoom = Map.groupBy(pdus, roomIdOf);
  const doors = await doorsFor(
    hs,
    origin,
    [...byRoom.keys()].filter((it) => it !== undefined),
  );
  const until = AbortSignal.timeout(MOST_ASKING_MS);
  const answers = await Promise.all(
    Array.from(byRoom, async ([roomId, its]) => {
      const door = roomId === undefined ? undefined : doors.get(roomId);
      if (!door?.isOurs) return await outsideAnswers(hs, door, its);
      if (door.isDenied) return refusals(its, door, "Your server is denied in this room");
      return await receiveInRoom(hs, door, its, { origin, until });
    }),
  );
  return Object.fromEntries(answers.flat());
}

/** Of a room that this server is not in, next to nothing is taken. */
async function outsideAnswers(
  hs: Homeserver,
  door: Door | undefined,
  pdus: readonly unknown[],
): Promise<Answers> {
  const taken = door && (await receiveOutside(hs, door.room, pdus));
  const answers = refusals(pdus, door, "This server is not in the room");
  return answers.map(([id, answer]) => [id, taken?.has(id as EventId) ? {} : answer] as const);
}

function roomIdOf(pdu: unknown): RoomId | undefined {
  const roomId = JsonObject.safeParse(pdu).data?.["room_id"];
  return typeof roomId === "string" && !roomId.includes("\0") ? (roomId as RoomId) : undefined;
}

/** Says the same of all of some events, as far as it can be told what they are called. */
function refusals(pdus: readonly unknown[], door: Door | undefined, error: string): Answers {
  received.inc({ outcome: "refused" }, pdus.length);
  return pdus.flatMap((it) => {
    const id = eventIdOf(it, door);
    return id === undefined ? [] : [[id, { error }] as const];
  });
}

function eventIdOf(pdu: unknown, door: Door | undefined): string | undefined {
  if (!door) {
    const id = JsonObject.safeParse(pdu).data?.["event_id"];
    return typeof id === "string" ? id : undefined;
  }
  const parsed = parsePdu(pdu, door.room.rules);
  return parsed.ok ? parsed.event.event_id : undefined;
}

async function receiveInRoom(
  hs: Homeserver,
  { room }: Door,
  pdus: readonly unknown[],
  from: { readonly origin: ServerName; readonly until: AbortSignal },
): Promise<Answers> {
  const { receipts, passed, dropped } = await receivePdus(hs, room, pdus, from);
  const { origin } = from;
  const answers: (readonly [string, PduAnswer])[] = [];
  for (const eventId of passed) {
    const receipt = receipts.get(eventId) ?? { outcome: "unverifiable" };
    received.inc({ outcome: receipt.outcome });
    if ("reason" in receipt || receipt.outcome === "unverifiable") {
      hs.log.info(
        { origin, roomId: room.roomId, eventId, ...receipt },
        "an event was not taken in",
      );
    }
    answers.push([eventId, answerTo(receipt)]);
  }
  for (const { eventId, check, reason } of dropped) {
    received.inc({ outcome: "dropped" });
    hs.log.info({ origin, roomId: room.roomId, eventId, check, reason }, "an event was dropped");
    if (eventId !== undefined) answers.push([eventId, { error: reason }]);
  }
  return answers;
}

/** What was rejected has been dealt with too: only what may be sent again is an error. */
function answerTo({ outcome }: Receipt): PduAnswer {
  return outcome === "unverifiable" ? { error: "Its auth events could not be had" } : {};
}
