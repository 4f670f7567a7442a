import { publishedAmong } from "#src/directory/set-visibility.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { Requester } from "#src/kit/requester.ts";
import { eventsOf } from "#src/rooms/find-event.ts";
import { renderEvents } from "#src/rooms/render-events.ts";
import type { StoredEvent } from "#src/rooms/stored-event.ts";
import { syncTokenOf, tokenOf } from "#src/timeline/token.ts";
import type { ChangedRoom } from "./changed-rooms.ts";
import type { Sections } from "./read-sections.ts";
import { readSync, type SyncAnswer } from "./read-sync.ts";

/**
 * How everything stands for a user, in the form that clients had before `/sync`.
 *
 * @param archived whether with the rooms that the user has left.
 * @returns JSON text.
 * @spec client-server-api#get_matrixclientv3initialsync
 */
export async function initialSyncText(
  hs: Homeserver,
  requester: Requester,
  { limit, archived }: { readonly limit: number; readonly archived: boolean },
): Promise<string> {
  const answer = await readSync(hs, {
    requester,
    filter: { room: { timeline: { limit }, include_leave: archived } },
    since: undefined,
    fullState: false,
    stateAfter: "state_after",
  });
  const { rooms, sections, upTo } = answer;
  const told = [...rooms.joined, ...rooms.left];
  const [published, invitations] = await Promise.all([
    publishedAmong(
      hs,
      told.map((it) => it.roomKey),
    ),
    invitationTexts(hs, requester, rooms.invited),
  ]);
  const texts = [
    ...told.map((it) => roomText(answer, it, published.has(it.roomKey))),
    ...rooms.invited.map((it) => invitedText(answer, it, invitations)),
  ];
  return (
    `{"end":${JSON.stringify(syncTokenOf(upTo, undefined))},"rooms":[${texts.join(",")}],` +
    `"presence":${JSON.stringify(eventsIn(sections, "presence"))},` +
    `"account_data":${JSON.stringify(eventsIn(sections, "account_data"))}}`
  );
}

function eventsIn({ global }: Sections, name: string): readonly object[] {
  return (global[name] as { events?: readonly object[] } | undefined)?.events ?? [];
}

function roomText(answer: SyncAnswer, room: ChangedRoom, isPublished: boolean): string {
  const { roomKey, standing } = room;
  const timeline = answer.timelines.get(roomKey);
  const roomId = roomIdOf(answer, room);
  const textsOf = (events: readonly StoredEvent[]) =>
    events.map((it) => withRoomId(answer.texts.get(it) ?? "{}", roomId)).join(",");
  const end = { anchor: Math.min(answer.upTo, endOf(room)), offset: 0 };
  return (
    `{"room_id":${JSON.stringify(roomId)},"membership":${JSON.stringify(standing.membership)},` +
    `"messages":{"start":${JSON.stringify(tokenOf(timeline?.start ?? end))},` +
    `"end":${JSON.stringify(tokenOf(end))},"chunk":[${textsOf(timeline?.events ?? [])}]},` +
    `"state":[${textsOf(answer.states.get(roomKey) ?? [])}],` +
    `"visibility":"${isPublished ? "public" : "private"}",` +
    `"account_data":${JSON.stringify(answer.sections.rooms.get(roomKey)?.accountData ?? [])}}`
  );
}

/** Who has left hears of a room up to that. */
function endOf({ standing }: ChangedRoom): number {
  return standing.membership === "join" ? Number.POSITIVE_INFINITY : standing.position;
}

function invitedText(
  answer: SyncAnswer,
  room: ChangedRoom,
  invitations: ReadonlyMap<number, string>,
): string {
  const invite = invitations.get(room.standing.eventKey);
  return (
    `{"room_id":${JSON.stringify(roomIdOf(answer, room))},"membership":"invite"` +
    `${invite === undefined ? "" : `,"invite":${invite}`}}`
  );
}

async function invitationTexts(
  hs: Homeserver,
  requester: Requester,
  invited: readonly ChangedRoom[],
): Promise<ReadonlyMap<number, string>> {
  const keys = invited.map((it) => it.standing.eventKey);
  const events = [...(await eventsOf(hs, keys))];
  const texts = await renderEvents(
    hs,
    events.map(([, event]) => event),
    requester,
    { roomId: true },
  );
  return new Map(events.map(([key], index) => [key, texts[index] ?? "{}"]));
}

function roomIdOf({ roomIds }: SyncAnswer, { roomKey }: ChangedRoom): string {
  return roomIds.get(roomKey) ?? "";
}

/** The text of an event that does not say which room it is of, saying it. */
function withRoomId(text: string, roomId: string): string {
  return `{"room_id":${JSON.stringify(roomId)},${text.slice(1)}`;
}
