import { type PowerLevels, readPowerLevels } from "#src/events/power-levels.ts";
import type { Homeserver } from "#src/homeserver/homeserver.ts";
import type { UserId } from "#src/kit/identifiers.ts";
import { currentStateRoot, stateEvent, statesAt } from "#src/rooms/current-state.ts";
import { roomsByKeys } from "#src/rooms/find-room.ts";
import { memberCounts } from "#src/rooms/memberships.ts";
import { pairKey, type StatePair } from "#src/rooms/state-slots.ts";
import type { RoomUnreads } from "./room-unreads.ts";

/** What push rules ask about a room besides its events. */
export type RoomContext = {
  readonly memberCount: number;
  /** Undefined for a room whose create event we have not. */
  readonly levels: PowerLevels | undefined;
};

const CREATE: StatePair = ["m.room.create", ""];
const POWER_LEVELS: StatePair = ["m.room.power_levels", ""];

/** What push rules ask about a room; kept until the room's members or powers change. */
export async function roomContextOf(hs: Homeserver, room: RoomUnreads): Promise<RoomContext> {
  room.context ??= load(hs, room.roomKey);
  const loading = room.context as Promise<RoomContext>;
  try {
    return await loading;
  } catch (error) {
    if (room.context === loading) room.context = undefined;
    throw error;
  }
}

async function load(hs: Homeserver, roomKey: number): Promise<RoomContext> {
  const [counts, rooms, root] = await Promise.all([
    memberCounts(hs, [roomKey]),
    roomsByKeys(hs, [roomKey]),
    currentStateRoot(hs, roomKey),
  ]);
  const states = await statesAt(hs, root, [CREATE, POWER_LEVELS]);
  const rules = rooms.get(roomKey)?.rules;
  const create = states.get(pairKey(...CREATE));
  const levels =
    rules &&
    create &&
    readPowerLevels(states.get(pairKey(...POWER_LEVELS))?.pdu(rules), create.pdu(rules), rules);
  return { memberCount: counts.get(roomKey)?.joined ?? 0, levels };
}

/** What a user is called in a room, if they have a name there. */
export async function displayNameIn(
  hs: Homeserver,
  roomKey: number,
  userId: UserId,
): Promise<string | undefined> {
  const member = await stateEvent(hs, roomKey, "m.room.member", userId);
  const name = member?.redactedBy === undefined ? member?.content["displayname"] : undefined;
  return typeof name === "string" ? name : undefined;
}
