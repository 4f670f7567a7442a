import type { Homeserver } from "#src/homeserver/homeserver.ts";
import { type EventId, type RoomId, type ServerName, serverNameOf } from "#src/kit/identifiers.ts";
import { MatrixError } from "#src/kit/matrix-error.ts";
import { authChainOf } from "#src/rooms/auth-chain.ts";
import { allStateAt, stateEvent } from "#src/rooms/current-state.ts";
import { findEvent, findEvents } from "#src/rooms/find-event.ts";
import { type Room, roomsByKeys } from "#src/rooms/find-room.ts";
import { membersKnownWithin } from "#src/rooms/partial/partial-rooms.ts";
import { EventStatus, type StoredEvent } from "#src/rooms/stored-event.ts";
import { requireServerIn } from "./doors.ts";
import { inStateTurn } from "./state-turns.ts";

/** How long another server waits for what we do not know of a room yet: less than it would wait for an answer. */
const LONGEST_WAIT_MS = 8_000;

/** What another server may ask about: an event of a room that it is in. */
export type Asked = {
  readonly server: ServerName;
  readonly roomId: RoomId;
  readonly eventId: EventId;
};

/** A state, and all that authorises it. */
export type StateAndAuth = {
  readonly room: Room;
  readonly state: readonly StoredEvent[];
  readonly authChain: readonly StoredEvent[];
};

/**
 * The state before an event, for another server.
 *
 * @throws MatrixError M_FORBIDDEN (see `requireServerIn`), M_NOT_FOUND if no such event was
 *   accepted in the room, or the state before it is not known, or not all of it; as `inStateTurn`.
 */
export async function readStateBefore(hs: Homeserver, asked: Asked): Promise<StateAndAuth> {
  const { roomKey } = await requireServerIn(hs, asked.server, asked.roomId);
  // Nobody may take a state that lacks members for the whole.
  const isWhole = await membersKnownWithin(hs, roomKey, { waitMs: LONGEST_WAIT_MS });
  const { room, event } = await requireEvent(hs, asked);
  if (event.status === EventStatus.rejected) throw notFound();
  if (!isWhole || event.stateBefore === undefined) {
    throw new MatrixError("M_NOT_FOUND", "The state before this event is not known");
  }
  const root = event.stateBefore;
  return await inStateTurn(hs, asked.server, async () => {
    const state = await allStateAt(hs, root);
    return { room, state, authChain: await authChainOf(hs, room, state) };
  });
}

/**
 * The auth chain of an event, for another server.
 *
 * @throws MatrixError M_FORBIDDEN, M_NOT_FOUND; as `inStateTurn`
 */
export async function readAuthChain(
  hs: Homeserver,
  asked: Asked,
): Promise<Pick<StateAndAuth, "room" | "authChain">> {
  const { room, event } = await requireEvent(hs, asked);
  return await inStateTurn(hs, asked.server, async () => {
    // Of state events it is written down which events authorise them.
    if (event.stateKey !== undefined) {
      return { room, authChain: await authChainOf(hs, room, [event]) };
    }
    const cited = [...(await findEvents(hs, event.pdu(room.rules).auth_events)).values()];
    return { room, authChain: [...new Set([...cited, ...(await authChainOf(hs, room, cited))])] };
  });
}

async function requireEvent(
  hs: Homeserver,
  { server, roomId, eventId }: Asked,
): Promise<{ room: Room; event: StoredEvent }> {
  const room = await requireServerIn(hs, server, roomId);
  const event = await findEvent(hs, eventId);
  if (event?.roomKey !== room.roomKey) throw notFound();
  return { room, event };
}

/**
 * An event, for another server; also one that is known only because others name it.
 *
 * @throws MatrixError M_NOT_FOUND if there is none that was accepted; M_FORBIDDEN
 */
export async function readEventFor(
  hs: Homeserver,
  server: ServerName,
  eventId: EventId,
): Promise<{ room: Room; event: StoredEvent }> {
  const event = await findEvent(hs, eventId);
  if (!event || event.status === EventStatus.rejected) throw notFound();
  const [known] = (await roomsByKeys(hs, [event.roomKey])).values();
  if (!known) throw notFound();
  const room = await requireServerIn(hs, server, known.roomId);
  if (!(await isToBeSeen(hs, event, server))) throw notFound();
  return { room, event };
}

/**
 * Whether it can be known that a server may see an event. One that waits for what is before it has no state yet that says
 * so. It cannot be shown redacted either: others would keep it so.
 */
async function isToBeSeen(
  hs: Homeserver,
  { anchor, stateKey, sender, roomKey }: StoredEvent,
  server: ServerName,
): Promise<boolean> {
  const isOwn = serverNameOf(sender) === server;
  if (anchor !== undefined || stateKey !== undefined || isOwn) return true;
  const visibility = await stateEvent(hs, roomKey, "m.room.history_visibility", "");
  return !RESTRICTED.has(visibility?.content["history_visibility"]);
}

const RESTRICTED: ReadonlySet<unknown> = new Set(["invited", "joined"]);

function notFound(): MatrixError {
  return new MatrixError("M_NOT_FOUND", "No such event");
}
