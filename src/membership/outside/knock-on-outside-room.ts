import { ROOM_VERSIONS } from "#src/events/room-versions.ts";
import type { StrippedStateEvent } from "#src/events/stripped-state.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { ensureRoom } from "#src/rooms/received/ensure-room.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { readToldState } from "#src/rooms/received/read-told-state.ts";
import { bodyOf, throughOneOf, unhelpful } from "./refusals.ts";
import type { ServersToAsk } from "./servers-to-ask.ts";
import { type MemberEvent, signTemplate } from "./sign-template.ts";

/** A knock, and by which member event the user is what they are until then, null if by none. */
export type OutsideKnock = MemberEvent & { readonly begunAt: number | null };

/** How long a server may take for each of the two answers. */
const TIMEOUT_MS = 15_000;

/**
 * Knocks on a room that this server is not in, by way of one that is.
 *
 * @param servers those that are probably in the room.
 * @throws MatrixError what the servers say, such as M_FORBIDDEN; 502 if none is of any help.
 * @spec server-server-api#knocking-upon-a-room-knocking-rooms
 */
export async function knockOnOutsideRoom(
  hs: Homeserver,
  knock: OutsideKnock,
  servers: ServersToAsk,
): Promise<void> {
  await throughOneOf(hs, servers, async (server) => await knockThrough(hs, server, knock));
}

async function knockThrough(
  hs: Homeserver,
  server: ServerName,
  knock: OutsideKnock,
): Promise<void> {
  const { roomId, sender, begunAt } = knock;
  const versions = [...ROOM_VERSIONS.values()].filter((it) => it.knocking).map((it) => it.version);
  const options = { timeoutMs: TIMEOUT_MS };
  const question = { roomId, userId: sender, versions };
  const template = bodyOf(server, await hs.remotes.makeKnock(server, question, options));
  const { event, json, wire, rules } = signTemplate(hs, server, template, knock);
  const sent = { roomId, eventId: event.event_id, event: wire };
  const answer = bodyOf(server, await hs.remotes.sendKnock(server, sent, options));
  const room = await ensureRoom(hs, roomId, rules);
  if (room.rules !== rules) throw unhelpful(server, "says that the room has another version");
  await storeOutsideMembership(hs, {
    room,
    received: { event, json },
    membership: "knock",
    begunAt,
    told: { strippedState: await toldOf(hs, room, answer.knock_room_state), by: server },
  });
}

/** What we are told of the room: nothing, if that does not hold, for the knock has been heard. */
async function toldOf(
  hs: Homeserver,
  room: Room,
  told: readonly unknown[],
): Promise<StrippedStateEvent[]> {
  try {
    return await readToldState(hs, told, room);
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error;
    hs.log.warn({ err: error, roomId: room.roomId }, "what is told of a room is not its state");
    return [];
  }
}
