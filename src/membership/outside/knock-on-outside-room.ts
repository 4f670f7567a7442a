import { ROOM_VERSIONS } from "#src/events/room-versions.ts";
import type { StrippedStateEvent } from "#src/events/stripped-state.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { ServerName } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import type { Room } from "#src/rooms/find-room.ts";
import { ensureRoom } from "#src/rooms/received/ensure-room.ts";
import { storeOutsideMembership } from "#src/rooms/received/outside-membership.ts";
import { readToldState } from "#src/rooms/received/read-told-state.ts";
import { forgetUntold, isUntold, noteUntold } from "./queries-untold.ts";
import { bodyOf, throughOneOf, unhelpful } from "./refusals.ts";
import type { ServersToAsk } from "./servers-to-ask.ts";
import { type MemberEvent, signTemplate } from "./sign-template.ts";
import { FIRST_RETRY_MS } from "./tell-leave.ts";

/** A knock, and by which member event the user is what they are until then, null if by none. */
export type OutsideKnock = MemberEvent & {
  readonly begunAt: number | null;
  /** Whether the user has knocked before, and nobody has answered. */
  readonly isRepeated: boolean;
};

/** How long a server may take for each of the two answers. */
const TIMEOUT_MS = 15_000;

/**
 * Knocks on a room that this server is not in, by way of one that is. Should it not be known in the end whether that has heard it,
 * as this process has ended or there was no answer, it is told by a job that the user is out, unless they have been invited by then:
 * nobody could take back a knock of which nobody knows here.
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
  const who = { userId: knock.sender, roomId: knock.roomId };
  const wasUntold = await isUntold(hs.sql, who);
  const heardBy = new Set<ServerName>();
  try {
    await throughOneOf(hs, servers, async (server) => {
      await knockThrough(hs, server, knock, heardBy);
    });
  } catch (error) {
    if (heardBy.size === 0 && !wasUntold) await forgetUntold(hs.sql, who);
    throw error;
  }
  await forgetUntold(hs.sql, who);
}

/** @param heardBy the servers that have perhaps heard it. */
async function knockThrough(
  hs: Homeserver,
  server: ServerName,
  knock: OutsideKnock,
  heardBy: Set<ServerName>,
): Promise<void> {
  const { roomId, sender, begunAt, isRepeated } = knock;
  const versions = [...ROOM_VERSIONS.values()].filter((it) => it.knocking).map((it) => it.version);
  const options = { timeoutMs: TIMEOUT_MS };
  const question = { roomId, userId: sender, versions };
  const template = bodyOf(server, await hs.remotes.makeKnock(server, question, options));
  const { event, json, wire, rules } = signTemplate(hs, server, template, knock);
  const sent = { roomId, eventId: event.event_id, event: wire };
  if (!isRepeated) {
    heardBy.add(server);
    const leave = {
      userId: sender,
      roomId,
      servers: [...heardBy],
      reason: null,
      eventKey: begunAt,
    };
    const now = hs.now();
    await noteUntold(hs.sql, leave, { now, dueMs: now + FIRST_RETRY_MS });
  }
  const said = await hs.remotes.sendKnock(server, sent, options);
  if (!said.ok && said.why === "refused") heardBy.delete(server);
  const answer = bodyOf(server, said);
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
