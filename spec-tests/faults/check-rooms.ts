import { type ClientEvent, joinedRoom, receiptsIn } from "../answers.ts";
import type { Dice } from "../oracle/dice.ts";
import { type Deeds, explainsMemberships, keyOf, possibleValues } from "./deeds.ts";
import { faultsOfChain, idsOf, pdusOf, type Read, walkRoom } from "./walk-room.ts";

/** What was found in a room, and what is wrong with it. */
export type RoomFindings = { readonly eventIds: readonly string[]; readonly faults: string[] };

/**
 * Reads all of a room as one who was joined all the while, and compares it with what was done to it. Every request
 * with a transaction ID must have been answered by now.
 */
export async function checkRoom(
  read: Read,
  roomId: string,
  { deeds, dice }: { deeds: Deeds; dice: Dice },
): Promise<RoomFindings> {
  const limit = () => 1 + dice.below(40);
  const events = (await walkRoom(read, roomId, { direction: "b", limit })).reverse();
  const eventIds = idsOf(events);
  const forwards = idsOf(await walkRoom(read, roomId, { direction: "f", limit }));
  const faults = [
    ...(new Set(eventIds).size === eventIds.length ? [] : ["an event is in its room twice"]),
    ...(forwards.join() === eventIds.join() ? [] : ["forwards it is not as backwards"]),
    ...faultsOfChain(eventIds, await pdusOf(read, roomId)),
    ...(await faultsOfState(read, roomId, events)),
    ...faultsOfSends(roomId, events, deeds),
    ...faultsOfSetState(roomId, events, deeds),
    ...faultsOfMemberships(roomId, events, deeds),
    ...(await faultsOfReceipts(read, roomId, { eventIds, deeds })),
  ];
  return { eventIds, faults: faults.map((it) => `${roomId}: ${it}`) };
}

/** The current state is what the timeline's state events make when they are played again. */
async function faultsOfState(
  read: Read,
  roomId: string,
  events: readonly ClientEvent[],
): Promise<string[]> {
  const replayed = new Map<string, string>();
  for (const event of events) {
    if (event.state_key === undefined) continue;
    replayed.set(JSON.stringify([event.type, event.state_key]), event.event_id);
  }
  const state = await read<readonly ClientEvent[]>(`/v3/rooms/${encodeURIComponent(roomId)}/state`);
  const current = new Map(
    state.map((it) => [JSON.stringify([it.type, it.state_key]), it.event_id]),
  );
  return [...new Set([...replayed.keys(), ...current.keys()])]
    .filter((pair) => current.get(pair) !== replayed.get(pair))
    .map((pair) => `state ${pair} is ${current.get(pair)}, and ${replayed.get(pair)} set it last`);
}

/** Whether an event is whole, or, if it was redacted, says so and is empty. */
function isAsItShould(event: ClientEvent, sent: unknown, by: string | undefined): boolean {
  const { n } = sent as { n: unknown };
  if (by === undefined) return JSON.stringify(event.content["n"]) === JSON.stringify(n);
  const because = event.unsigned?.redacted_because?.event_id;
  return Object.keys(event.content).length === 0 && because === by;
}

/** What was sent with a transaction ID is there once, and nothing else is; what was redacted is. */
function faultsOfSends(roomId: string, events: readonly ClientEvent[], deeds: Deeds): string[] {
  const faults: string[] = [];
  const byId = new Map(events.map((it) => [it.event_id, it]));
  const sends = deeds.sends.filter((it) => it.roomId === roomId);
  for (const [kind, type] of [
    ["message", "m.room.message"],
    ["redaction", "m.room.redaction"],
  ] as const) {
    const sent = sends.filter((it) => it.kind === kind).map((it) => it.eventId ?? "unknown");
    const there = idsOf(events.filter((it) => it.type === type));
    const lost = sent.filter((it) => byId.get(it)?.type !== type);
    const unasked = there.filter((it) => !sent.includes(it));
    if (lost.length > 0) faults.push(`${lost.length} of kind ${kind} are lost: ${lost.join()}`);
    if (unasked.length > 0) faults.push(`nobody knows why ${kind}s are there: ${unasked.join()}`);
    if (new Set(sent).size < sent.length) faults.push(`two ${kind}s are one event`);
  }
  const redacted = new Map(sends.map((it) => [it.target, it.eventId]));
  for (const { request, eventId, kind } of sends) {
    const event = eventId === undefined ? undefined : byId.get(eventId);
    if (kind !== "message" || !event) continue;
    const by = redacted.get(eventId);
    if (!isAsItShould(event, request.body, by)) {
      faults.push(`${eventId} is not as it was sent, or as ${by} has left it`);
    }
  }
  return faults;
}

/** State that was set is in the timeline once; what nobody knows of, at most once. */
function faultsOfSetState(roomId: string, events: readonly ClientEvent[], deeds: Deeds): string[] {
  const faults: string[] = [];
  const set = new Map(deeds.states.filter((it) => it.roomId === roomId).map((it) => [it.n, it]));
  const there = Map.groupBy(
    events.filter((it) => it.type === "org.example.kept"),
    (it) => it.content["n"] as number,
  );
  for (const [n, found] of there) {
    const deed = set.get(n);
    if (!deed || found.length > 1) faults.push(`state ${n} is there ${found.length} times`);
    else if (deed.eventId !== undefined && deed.eventId !== found[0]?.event_id) {
      faults.push(`state ${n} is another event than was said`);
    }
  }
  for (const { n, fate } of set.values()) {
    if (fate === "done" && !there.has(n)) faults.push(`state ${n} is lost`);
  }
  return faults;
}

function faultsOfMemberships(
  roomId: string,
  events: readonly ClientEvent[],
  deeds: Deeds,
): string[] {
  return [...deeds.memberships].flatMap(([key, done]) => {
    const userId = key.slice(roomId.length + 1);
    if (key !== keyOf(roomId, userId)) return [];
    const found = events
      .filter((it) => it.type === "m.room.member" && it.state_key === userId)
      .map((it) => String(it.content["membership"]));
    if (explainsMemberships(done, found)) return [];
    const told = done.map((it) => `${it.membership} (${it.fate})`);
    return [`${userId} did ${told.join()}, and was ${String(found)}`];
  });
}

/** Each receipt is at the latest of the events that it was moved to. */
async function faultsOfReceipts(
  read: Read,
  roomId: string,
  { eventIds, deeds }: { eventIds: readonly string[]; deeds: Deeds },
): Promise<string[]> {
  const filter = { room: { rooms: [roomId], timeline: { limit: 1 } } };
  const answer = await read(`/v3/sync?filter=${encodeURIComponent(JSON.stringify(filter))}`);
  const receipts = receiptsIn(joinedRoom(answer, roomId));
  return [...deeds.receipts].flatMap(([key, moved]) => {
    const userId = key.slice(roomId.length + 1);
    if (key !== keyOf(roomId, userId)) return [];
    const at = Object.entries(receipts)
      .filter(([, types]) => types["m.read"]?.[userId] !== undefined)
      .map(([eventId]) => eventId);
    const place = (eventId: string) => eventIds.indexOf(eventId);
    const furthest = Math.max(
      -1,
      ...moved.filter((it) => it.fate === "done").map((it) => place(it.value)),
    );
    const [only = "", ...more] = at;
    const isPossible =
      more.length === 0 &&
      place(only) >= furthest &&
      (furthest === -1 || moved.some((it) => it.value === only));
    return isPossible
      ? []
      : [`${userId} has read up to ${String(at)}, not ${String(eventIds[furthest])}`];
  });
}

/** Account data that was set is as it was set last, read by itself and by sync. */
export async function faultsOfAccountData(
  readAs: (token: string) => Read,
  deeds: Deeds,
): Promise<string[]> {
  const faults: string[] = [];
  for (const [path, { device, values }] of deeds.accountData) {
    if (!values.some((it) => it.fate === "done")) continue;
    const { n } = await readAs(device.token)<{ n: number }>(path);
    const possible = possibleValues(values);
    if (!possible.has(n)) faults.push(`${path} is ${n}, and may be ${[...possible].join()}`);
  }
  return faults;
}
