import { eventFieldSelector } from "#src/filters/select-event-fields.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { syncTokenOf, tokenOf } from "#src/timeline/token.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import type { SyncAnswer } from "./read-sync.ts";

/**
 * A sync's answer as JSON text: the events' texts, made once, are put together, not parsed and written
 * again.
 *
 * @param always what is told whatever has happened, such as the counts of keys.
 * @spec client-server-api#get_matrixclientv3sync
 */
export function syncText(answer: SyncAnswer, always: Readonly<Record<string, unknown>>): string {
  const { cutAt, stickyLeft } = answer.sections;
  const parts = [`"next_batch":${JSON.stringify(syncTokenOf(answer.upTo, cutAt, stickyLeft))}`];
  for (const [name, value] of Object.entries({ ...always, ...answer.sections.global })) {
    parts.push(`${JSON.stringify(name)}:${JSON.stringify(value)}`);
  }
  const rooms = roomsText(answer);
  if (rooms !== "") parts.push(`"rooms":{${rooms}}`);
  return `{${parts.join(",")}}`;
}

function roomsText(answer: SyncAnswer): string {
  const { rooms, sections } = answer;
  const joined = new Map(rooms.joined.map((it) => [it.roomKey, it]));
  const keys = new Set([...joined.keys(), ...sections.rooms.keys()]);
  for (const { roomKey } of rooms.left) keys.delete(roomKey);
  const groups = [
    ["join", [...keys].map((it) => joinedText(answer, it, joined.get(it)))],
    ["leave", rooms.left.map((it) => leftText(answer, it))],
    ["invite", strippedTexts(answer, rooms.invited, "invite_state")],
    ["knock", strippedTexts(answer, rooms.knocked, "knock_state")],
  ] as const;
  return groups
    .filter(([, texts]) => texts.length > 0)
    .map(([name, texts]) => `"${name}":{${texts.join(",")}}`)
    .join(",");
}

function roomText({ roomIds }: SyncAnswer, roomKey: number, parts: readonly string[]): string {
  return `${JSON.stringify(roomIds.get(roomKey) ?? "")}:{${parts.join(",")}}`;
}

function joinedText(answer: SyncAnswer, roomKey: number, room: ChangedRoom | undefined): string {
  const parts = room ? eventParts(answer, room) : [];
  const summary = answer.summaries.get(roomKey)?.summary;
  if (summary) parts.push(`"summary":${JSON.stringify(summary)}`);
  parts.push(...sectionParts(answer, roomKey, room?.isNew));
  return roomText(answer, roomKey, parts);
}

function leftText(answer: SyncAnswer, room: ChangedRoom): string {
  const { roomKey } = room;
  return roomText(answer, roomKey, [...eventParts(answer, room), ...sectionParts(answer, roomKey)]);
}

/** The timeline, and the state before or after it. */
function eventParts(answer: SyncAnswer, { roomKey }: ChangedRoom): string[] {
  const timeline = answer.timelines.get(roomKey);
  if (!timeline) return [];
  const state = answer.states.get(roomKey) ?? [];
  const { stateAfter } = answer.request;
  // Who asked for the state after the timeline gets no other.
  return [
    `"timeline":{"events":[${textsOf(answer, timeline.events)}],"limited":${timeline.limited},` +
      `"prev_batch":${JSON.stringify(tokenOf(timeline.start))}}`,
    `"${stateAfter ?? "state"}":{"events":[${textsOf(answer, state)}]}`,
  ];
}

function textsOf({ texts, request }: SyncAnswer, events: readonly StoredEvent[]): string {
  const { event_fields } = request.filter;
  const its = events.map((it) => texts.get(it) ?? "{}");
  if (event_fields === undefined) return its.join(",");
  const select = eventFieldSelector(event_fields);
  return its.map((it) => JSON.stringify(select(JSON.parse(it) as object))).join(",");
}

/** @param isNew whether the client hears of the room for the first time: then it hears also of what there is none. */
function sectionParts({ sections }: SyncAnswer, roomKey: number, isNew = false): string[] {
  const { ephemeral = [], accountData = [], other = {} } = sections.rooms.get(roomKey) ?? {};
  return [
    ...(ephemeral.length > 0 || isNew
      ? [`"ephemeral":${JSON.stringify({ events: ephemeral })}`]
      : []),
    ...(accountData.length > 0 || isNew
      ? [`"account_data":${JSON.stringify({ events: accountData })}`]
      : []),
    ...Object.entries(other).map(
      ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`,
    ),
  ];
}

function strippedTexts(
  answer: SyncAnswer,
  rooms: readonly ChangedRoom[],
  name: "invite_state" | "knock_state",
): string[] {
  return rooms.map(({ roomKey }) => {
    const events = answer.stripped.get(roomKey) ?? [];
    return roomText(answer, roomKey, [
      `"${name}":{"events":[${events.join(",")}]}`,
      `"state":{"events":[${textsOf(answer, answer.states.get(roomKey) ?? [])}]}`,
    ]);
  });
}
