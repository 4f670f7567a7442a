import { parsePdu } from "#src/events/parse-pdu.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { EventId, RoomId, ServerName } from "#src/kit/identifiers.ts";
import { JsonObject } from "#src/kit/json-object.ts";
import { entriesOver } from "#src/membership/entries.ts";
import { tailOf } from "#src/streams/tail.ts";
import { receiveEdus } from "../edus/receive-edus.ts";
import { type Door, doorsFor } from "./doors.ts";
import { type PduAnswer, type PduAnswers, receiveInRoom } from "./receive-in-room.ts";
import { receiveOutside } from "./receive-outside.ts";
import { answerBefore, rememberAnswer } from "./transaction-answers.ts";
import { inServersTurn } from "./transaction-turns.ts";

/** What a server sends us of its own accord. */
export type ReceivedTransaction = {
  readonly origin: ServerName;
  readonly txnId: string;
  readonly pdus: readonly unknown[];
  readonly edus: readonly unknown[];
  /** The length of all of it, as it was sent. */
  readonly bytes: number;
};

/** For how long it waits while one of ours enters a room of which it tells us already. */
const MOST_ENTERING_MS = 30_000;

/** For how long the other server waits while we ask for what its events stand on. */
const MOST_ASKING_MS = 15_000;

/**
 * Takes in a transaction of another server: what it tells beside events, then the events of each room
 * in their order, different rooms at once. What has been taken in is durable before it is answered.
 *
 * @returns the answer's JSON. Of one that was answered before no event is looked at again.
 * @throws MatrixError M_LIMIT_EXCEEDED of a server that does not wait for its answers.
 * @spec server-server-api#put_matrixfederationv1sendtxnid
 */
export async function receiveTransaction(
  hs: Homeserver,
  transaction: ReceivedTransaction,
): Promise<string> {
  return await inServersTurn(hs, transaction, async () => {
    const { origin, txnId, pdus, edus } = transaction;
    // First, since it is soon done: keys to read an event with are there when the event is. Under an ID that came
    // before, too: it may all be repeated, and servers that make IDs of contents say so again what is news.
    await receiveEdus(hs, origin, edus);
    const isStored = edus.length > 0;
    const before = await answerBefore(hs, { origin, txnId }, isStored);
    if (before !== undefined) return before;
    const answer = JSON.stringify({ pdus: await receiveFrom(hs, origin, pdus) });
    rememberAnswer(hs, { origin, txnId, answer }, isStored);
    hs.log.debug({ origin, txnId, pdus: pdus.length, edus: edus.length }, "took in a transaction");
    return answer;
  });
}

async function receiveFrom(
  hs: Homeserver,
  origin: ServerName,
  pdus: readonly unknown[],
): Promise<Record<string, PduAnswer>> {
  const byRoom = Map.groupBy(pdus, roomIdOf);
  const doors = await doorsOf(
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
      return await receiveInRoom(hs, door.room, its, { origin, until });
    }),
  );
  return Object.fromEntries(answers.flat());
}

/** The doors of rooms; of those that are being entered, once that is over. */
async function doorsOf(
  hs: Homeserver,
  origin: ServerName,
  roomIds: readonly RoomId[],
): Promise<ReadonlyMap<RoomId, Door>> {
  const doors = await doorsFor(hs, origin, roomIds);
  const others = roomIds.filter((id) => doors.get(id)?.isOurs !== true);
  const wereEntered = await entriesOver(hs, others, MOST_ENTERING_MS);
  if (!wereEntered) return doors;
  // What another process has done is known once it has been heard of.
  await tailOf(hs).catchUp();
  return await doorsFor(hs, origin, roomIds);
}

/** Of a room that this server is not in, next to nothing is taken. */
async function outsideAnswers(
  hs: Homeserver,
  door: Door | undefined,
  pdus: readonly unknown[],
): Promise<PduAnswers> {
  const taken = door && (await receiveOutside(hs, door.room, pdus));
  const answers = refusals(pdus, door, "This server is not in the room");
  return answers.map(([id, answer]) => [id, taken?.has(id as EventId) ? {} : answer] as const);
}

function roomIdOf(pdu: unknown): RoomId | undefined {
  const roomId = JsonObject.safeParse(pdu).data?.["room_id"];
  return typeof roomId === "string" && !roomId.includes("\0") ? (roomId as RoomId) : undefined;
}

/** Says the same of all of some events, as far as it can be told what they are called. */
function refusals(pdus: readonly unknown[], door: Door | undefined, error: string): PduAnswers {
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
